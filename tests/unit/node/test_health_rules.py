"""What makes a version healthy: one fact is changed at a time, and every finding is told."""

from dataclasses import replace

import pytest

from bedplate.model.network import Answer, Reach
from bedplate.model.verdicts import Severity, fatal
from bedplate.node.health.facts import Facts, Membership, Probed
from bedplate.node.health.rules import judge
from bedplate.node.units import BadUnit

OK = Answer(Reach.ANSWERED, 200)
MEMBER = Membership(kubelet=OK, api=OK, told=True, ready=True)
HEALTHY = Facts(
    asked=True,
    units=(),
    state_writable=True,
    disk_free=10 << 30,
    memory_free=1 << 30,
    containerd_answers=True,
    membership=MEMBER,
    probed=(Probed("web"),),
)


def wrong(facts: Facts) -> list[str]:
    return [f"{each.about}: {each.message}" for each in judge(facts) if each.severity is Severity.ERROR]


def member(**changes: object) -> Facts:
    return replace(HEALTHY, membership=replace(MEMBER, **changes))  # type: ignore[arg-type]  # the table is checked by use


def test_a_healthy_node_has_a_good_finding_for_everything() -> None:
    findings = judge(HEALTHY)
    assert not fatal(findings)
    assert [each.about for each in findings] == [
        *("units", "disk", "memory", "containerd", "kubelet", "node", "settings", "probe web")
    ]


@pytest.mark.parametrize(
    ("facts", "finding"),
    [
        (replace(HEALTHY, asked=False), "units: systemd does not answer"),
        (
            replace(HEALTHY, units=(BadUnit("a.service", restarts=False, last_words="no"),)),
            "a.service: failed: no",
        ),
        (replace(HEALTHY, units=(BadUnit("a.service", restarts=True),)), "a.service: ends again and again"),
        (replace(HEALTHY, state_writable=False), "disk: the state partition cannot be written"),
        (
            replace(HEALTHY, disk_free=100 << 20),
            "disk: 100 MiB free on the state partition, less than 256 MiB",
        ),
        (replace(HEALTHY, memory_free=10 << 20), "memory: 10 MiB available, less than 64 MiB"),
        (replace(HEALTHY, unsettled="no"), "settings: they cannot be used, so no probe was asked: no"),
        (replace(HEALTHY, containerd_answers=False), "containerd: does not answer"),
        (member(kubelet=Answer(Reach.REFUSED)), "kubelet: /healthz: refused"),
        (member(kubelet=Answer(Reach.ANSWERED, 500, b"[-]pleg\n")), "kubelet: /healthz: 500 [-]pleg"),
        (member(api=Answer(Reach.SILENT), told=False), "node: the API server cannot be asked: no answer in time"),
        (member(api=Answer(Reach.ANSWERED, 404), told=False), "node: the API server answers 404"),
        (member(told=False), "node: has not told the API server of this boot"),
        (member(ready=False, message="no network"), "node: not Ready: no network"),
        (replace(HEALTHY, probed=(Probed("web", "refused"),)), "probe web: refused"),
    ],
)
def test_what_is_wrong_is_told(facts: Facts, finding: str) -> None:
    assert wrong(facts) == [finding]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    facts = replace(HEALTHY, containerd_answers=False, disk_free=0, probed=(Probed("a", "x"), Probed("b", "y")))
    assert [line.split(":")[0] for line in wrong(facts)] == ["disk", "containerd", "probe a", "probe b"]


def test_a_ready_node_of_the_boot_before_does_not_count() -> None:
    assert wrong(member(told=False, ready=True)) == ["node: has not told the API server of this boot"]


def test_a_machine_of_no_cluster_needs_no_kubelet() -> None:
    assert wrong(replace(HEALTHY, membership=None)) == []


def test_the_unit_that_judges_is_not_judged() -> None:
    assert wrong(replace(HEALTHY, units=(BadUnit("bedplate-health.service", restarts=False),))) == []
