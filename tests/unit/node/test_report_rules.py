"""What the console says of a node: one fact is changed at a time, and the line it belongs to is read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bedplate.model.network import Answer, Gateway, Link, Reach
from bedplate.node.report.facts import Facts, Network, NodeState, NoState, Request, Server, Time
from bedplate.node.report.rules import Line, is_ready, judge
from bedplate.node.units import BadUnit
from bedplate.wire.certificate import Validity

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
DAY = timedelta(days=1)
CARD = Link("enp0s2", carrier=True, addresses=("10.75.0.11/24",))
NETWORK = Network(links=(CARD,), gateway=Gateway("10.75.0.1", "enp0s2"), name_servers=("10.75.0.1",))
TIME = Time(NOW, synchronised=True, trusted_from=NOW - DAY)
SERVER = Server("10.75.0.1", 6443, token=True)
ANSWERS = Answer(Reach.ANSWERED, 200)
REFUSED_TOKEN = Answer(Reach.ANSWERED, 401)
JOINED = Facts(
    name="n1",
    network=NETWORK,
    time=TIME,
    server=SERVER,
    api=ANSWERS,
    certificate=Validity(NOW - DAY, NOW + 365 * DAY),
    kubelet_answers=True,
    state=NodeState(ready=True),
)
JOINING = replace(JOINED, certificate=None, state=NoState.UNKNOWN)
LOST = replace(JOINING, server=None, api=None)


def network(**changes: object) -> Facts:
    return replace(JOINED, network=replace(NETWORK, **changes))  # type: ignore[arg-type]  # the table is checked by use


def joining(api: Answer) -> Facts:
    return replace(JOINING, api=api)


def line(about: str, facts: Facts) -> Line:
    return next(each for each in judge(facts) if each.about == about)


def test_a_node_that_joined_has_only_good_lines() -> None:
    assert [str(each) for each in judge(JOINED)] == [
        "address     ok   10.75.0.11/24 on enp0s2, gateway 10.75.0.1",
        "dns         ok   10.75.0.1 answers",
        "clock       ok   synchronised",
        "api         ok   10.75.0.1:6443 answers",
        "certificate ok   valid until 2027-11-24",
        "unit        ok   none failed",
        "node        ok   n1 is Ready",
    ]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (network(links=()), "address     FAIL no network card. Give the machine one"),
        (network(links=(Link("eth0", carrier=False),)), "address     FAIL no carrier on eth0. Is the cable"),
        (network(links=(Link("eth0", carrier=True),)), "address     FAIL none on eth0. Does a DHCP server"),
        (network(gateway=None), "address     warn 10.75.0.11/24 on enp0s2, no gateway. Only this"),
        (network(gateway=Gateway("", "eth0")), "address     ok   10.75.0.11/24 on enp0s2, gateway eth0"),
        (network(name_servers=()), "dns         warn no name server. Let DHCP"),
        (network(silent=("10.75.0.1",)), "dns         warn 10.75.0.1 does not answer. Is UDP port 53"),
        (network(name_servers=("a", "b"), silent=("b",)), "dns         warn b does not answer. Another name server"),
        (network(resolves=False), "dns         FAIL 10.75.0.1 has no address. Add it on 10.75.0.1."),
        (replace(JOINED, time=replace(TIME, synchronised=False)), "clock       warn 2026-11-24, not synchronised. Let"),
        (
            replace(JOINED, time=replace(TIME, trusted_from=NOW + DAY)),
            "clock       FAIL 2026-11-24 is before the cluster's CA begins, 2026-11-25. Set the clock",
        ),
        (LOST, "api         FAIL no cluster is named. Start the machine with the credential"),
        (replace(LOST, unreadable="x: y"), "api         FAIL the kubeconfig cannot be read (x: y). Start"),
        (joining(Answer(Reach.NO_NAME)), "api         FAIL 10.75.0.1 does not resolve. See the line dns."),
        (joining(Answer(Reach.NO_ROUTE)), "api         FAIL no route to 10.75.0.1:6443. See the line address."),
        (joining(Answer(Reach.REFUSED)), "api         FAIL 10.75.0.1:6443 refused the connection. Is the control"),
        (
            joining(Answer(Reach.SILENT)),
            "api         FAIL 10.75.0.1:6443 does not answer. Is the control plane up, and is",
        ),
        (joining(Answer(Reach.UNTRUSTED, details="why")), "api         FAIL 10.75.0.1:6443 is not trusted (why). The"),
        (joining(Answer(Reach.BROKEN, details="why")), "api         FAIL 10.75.0.1:6443 breaks off (why). Is it an"),
        (joining(Answer(Reach.ANSWERED, 503)), "api         FAIL 10.75.0.1:6443 answers 503. Is the control plane"),
        (joining(REFUSED_TOKEN), "api         ok   10.75.0.1:6443 answers"),
        (replace(JOINING, server=Server("fd00::1", 6443, token=True)), "api         ok   [fd00::1]:6443 answers"),
        (LOST, "certificate wait none. See the line api."),
        (replace(JOINING, server=Server("a", 1, token=False)), "certificate FAIL none, and no bootstrap token to ask"),
        (joining(REFUSED_TOKEN), "certificate FAIL none: the bootstrap token was refused. It is over or wrong. Delete"),
        (joining(Answer(Reach.REFUSED)), "certificate wait none. The node asks for one when the API server answers."),
        (replace(JOINING, request=Request.NONE), "certificate wait not asked for yet. The kubelet"),
        (replace(JOINING, request=Request.PENDING), "certificate wait asked for, not approved yet. kubectl get csr"),
        (replace(JOINING, request=Request.APPROVED), "certificate wait approved, not signed yet. Does the controller"),
        (replace(JOINING, request=Request.DENIED), "certificate FAIL denied by the cluster. kubectl describe csr"),
        (replace(JOINING, request=Request.UNKNOWN), "certificate wait none yet. kubectl get csr"),
        (
            replace(JOINED, certificate=Validity(NOW - 2 * DAY, NOW - DAY)),
            "certificate FAIL expired on 2026-11-23. Delete",
        ),
        (
            replace(JOINED, certificate=Validity(NOW + DAY, NOW + 2 * DAY)),
            "certificate FAIL valid from 2026-11-25 only. See the line clock.",
        ),
        (replace(JOINED, api=REFUSED_TOKEN), "certificate FAIL refused by the API server. Delete"),
        (
            replace(JOINED, units=(BadUnit("a.service", restarts=False),)),
            "unit        FAIL a.service failed. It left no",
        ),
        (
            replace(JOINED, units=(BadUnit("kubelet.service", restarts=True, last_words="no swap"),)),
            "unit        FAIL kubelet.service ends again and again. Its last words: no swap",
        ),
        (replace(JOINED, units=(BadUnit("var.mount", restarts=False),)), "unit        FAIL var.mount failed. Is the"),
        (joining(Answer(Reach.REFUSED)), "node        wait n1 waits for: api"),
        (JOINING, "node        wait n1 waits for its certificate"),
        (replace(JOINED, kubelet_answers=False), "node        wait n1 waits for the kubelet to start"),
        (replace(JOINED, units=None), "unit        warn PID 1 does not tell which failed. It is"),
        (replace(JOINED, state=NoState.UNREGISTERED), "node        wait n1 is not registered yet"),
        (replace(JOINED, state=NoState.UNKNOWN), "node        wait the API server does not tell of n1. kubectl get"),
        (replace(JOINED, state=NodeState(ready=False, message="why")), "node        wait n1 is not Ready. why"),
    ],
)
def test_each_fact_has_its_line(facts: Facts, expected: str) -> None:
    assert str(line(expected.split(maxsplit=1)[0], facts)).startswith(expected)


def test_every_line_that_is_not_good_says_what_to_do() -> None:
    checks = judge(replace(LOST, network=Network(links=(), gateway=None, name_servers=())))[:-1]
    assert all(each.advice for each in checks if each.word.value != "ok")


def test_every_bad_unit_has_a_line() -> None:
    bad = (BadUnit("a.service", restarts=False), BadUnit("b.service", restarts=False))
    assert [each.message for each in judge(replace(JOINED, units=bad)) if each.about == "unit"] == [
        "a.service failed",
        "b.service failed",
    ]


def test_the_log_prefix_of_a_kubernetes_program_is_left_out() -> None:
    words = 'E1124 15:00:00.123456     612 run.go:72] "command failed" err="no swap"'
    bad = (BadUnit("kubelet.service", restarts=True, last_words=words),)
    assert line("unit", replace(JOINED, units=bad)).advice == 'Its last words: "command failed" err="no swap"'


def test_long_last_words_are_cut_to_one_line() -> None:
    bad = (BadUnit("kubelet.service", restarts=True, last_words="x" * 1000),)
    assert len(str(line("unit", replace(JOINED, units=bad)))) < 250


@pytest.mark.parametrize(
    "facts",
    [
        replace(JOINED, kubelet_answers=False),
        replace(JOINED, state=NoState.UNREGISTERED),
        replace(JOINED, state=NoState.UNKNOWN),
        replace(JOINED, state=NodeState(ready=False)),
    ],
)
def test_a_node_is_ready_only_when_kubelet_and_cluster_say_so(facts: Facts) -> None:
    assert is_ready(JOINED)
    assert not is_ready(facts)


def test_new_last_words_do_not_make_a_new_line() -> None:
    before, after = (
        line("unit", replace(JOINED, units=(BadUnit("a.service", restarts=True, last_words=words),)))
        for words in ("pid 1", "pid 2")
    )
    assert before != after
    assert before.key == after.key
