"""A reboot takes its time: until that is over, no other is asked for."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bedplate.node.health.verdict import Verdict
from bedplate.node.update.facts import Facts
from bedplate.node.update.memory import Memory
from bedplate.node.update.plan import Deed, Step
from bedplate.node.update.reboot import REBOOT_SECONDS, in_its_time
from bedplate.node.update.states import State
from bedplate.testing.clock import START
from bedplate.testing.releases import VERSION

KUBELET = Path(__file__).parents[3] / "os/usr/share/bedplate/kubelet.yaml"
REBOOT = Step(Deed.REBOOT, "the next boot tries it")


def ago(seconds: float) -> datetime:
    return START - timedelta(seconds=seconds)


def facts(verdict: datetime | None = None, *, boot: str = "this boot") -> Facts:
    judged = Verdict(VERSION, boot, passed=False, at=verdict, seconds=5.0, findings=()) if verdict else None
    return Facts(VERSION, "a" * 64, "this boot", START, (), judged)


@pytest.mark.parametrize("seconds", [0, 15, REBOOT_SECONDS - 1])
def test_a_reboot_that_was_asked_for_is_waited_for(seconds: float) -> None:
    step = in_its_time(REBOOT, Memory(state=State.REBOOTING), facts(), ago(seconds))
    assert step == Step(Deed.WAIT, "the next boot tries it: the reboot was asked for, and pods have their grace")


@pytest.mark.parametrize(
    "asked", [None, ago(REBOOT_SECONDS), ago(-60)], ids=["never", "over", "before the clock was set"]
)
def test_a_reboot_that_does_not_come_about_is_asked_for_again(asked: datetime | None) -> None:
    assert in_its_time(REBOOT, Memory(state=State.REBOOTING), facts(), asked) == REBOOT


def test_the_reboot_of_the_gate_is_waited_for_as_well() -> None:
    assert in_its_time(REBOOT, Memory(state=State.FAILED), facts(ago(5)), None).deed is Deed.WAIT


@pytest.mark.parametrize(
    ("state", "facts"),
    [
        (State.FAILED, facts(ago(REBOOT_SECONDS))),
        (State.FAILED, facts(ago(5), boot="the boot before")),
        (State.STAGED, facts(ago(5))),
    ],
    ids=["over", "of another boot", "of what stays"],
)
def test_a_verdict_that_leads_to_no_reboot_now_holds_none_up(state: State, facts: Facts) -> None:
    assert in_its_time(REBOOT, Memory(state=state), facts, None) == REBOOT


def test_what_is_no_reboot_is_not_held_up() -> None:
    step = Step(Deed.WRITE, "it is not in the other slot yet")
    assert in_its_time(step, Memory(state=State.WRITING), facts(), ago(5)) == step


def test_a_reboot_has_more_time_than_the_kubelet_gives_its_pods() -> None:
    (grace,) = [line for line in KUBELET.read_text().splitlines() if line.startswith("shutdownGracePeriod:")]
    assert float(grace.split()[1].removesuffix("s")) < REBOOT_SECONDS
