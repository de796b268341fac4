"""Preflight: from facts to findings, each with what to do, all of them at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bedplate.local.preflight.rules import GIB, Facts, judge, require_ready
from bedplate.model.errors import MachineError
from bedplate.model.verdicts import Severity

SOUND = Facts(
    cores=2,
    memory=8 * GIB,
    space=100 * GIB,
    built=False,
    missing=(),
    firmware=True,
    namespaces="",
    tun=True,
    root=False,
    subordinate_uids=65536,
    subordinate_gids=65536,
    ports_taken=(),
    kvm=True,
)


def of(severity: Severity, facts: Facts) -> list[str]:
    return [finding.about for finding in judge(facts) if finding.severity is severity]


def test_a_sound_machine_passes_and_hears_what_holds() -> None:
    assert {finding.severity for finding in require_ready(SOUND)} == {Severity.GOOD}


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"space": 12 * GIB}, ["disk"]),
        ({"space": 2 * GIB, "built": True}, ["disk"]),
        ({"memory": 2 * GIB}, ["memory"]),
        ({"missing": ("qemu-img", "dnsmasq")}, ["programs", "programs"]),
        ({"firmware": False}, ["firmware"]),
        ({"namespaces": "Operation not permitted"}, ["namespaces"]),
        ({"tun": False}, ["network"]),
        ({"subordinate_uids": 0}, ["ids"]),
        ({"subordinate_gids": 1000}, ["ids"]),
        ({"ports_taken": (6443,)}, ["ports"]),
    ],
)
def test_what_makes_a_cluster_impossible_is_an_error(change: dict[str, object], about: list[str]) -> None:
    assert of(Severity.ERROR, replace(SOUND, **change)) == about  # type: ignore[arg-type]  # each case names a field


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"kvm": False}, "KVM"),
        ({"cores": 1}, "cores"),
        ({"space": 20 * GIB}, "disk"),
        ({"space": 5 * GIB, "built": True}, "disk"),
        ({"memory": 4 * GIB}, "memory"),
    ],
)
def test_what_only_costs_time_is_a_warning(change: dict[str, object], about: str) -> None:
    facts = replace(SOUND, **change)  # type: ignore[arg-type]  # each case names a field
    assert of(Severity.WARNING, facts) == [about]
    assert of(Severity.ERROR, facts) == []


def test_root_needs_no_range_of_ids() -> None:
    assert of(Severity.ERROR, replace(SOUND, root=True, subordinate_uids=0, subordinate_gids=0)) == []


def test_every_error_and_warning_says_what_to_do() -> None:
    worst = Facts(1, 0, 0, False, ("gcc",), False, "no", False, False, 0, 0, (1,), False)  # noqa: FBT003  # all at their worst
    assert [finding for finding in judge(worst) if not finding.advice] == []


def test_everything_in_the_way_is_told_at_once() -> None:
    with pytest.raises(MachineError, match="lacks 3 things") as caught:
        require_ready(replace(SOUND, tun=False, firmware=False, ports_taken=(5000,)))
    assert len(caught.value.details.splitlines()) == 3
