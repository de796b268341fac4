"""Whether a reboot that was asked for may still come about, so that no other is asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bedplate.node.update.facts import Facts
from bedplate.node.update.memory import Memory
from bedplate.node.update.plan import Deed, Step
from bedplate.node.update.states import State

REBOOT_SECONDS = 180.0
"""More than logind lets the kubelet have for its pods (shutdownGracePeriod); it refuses a second request meanwhile."""


def in_its_time(step: Step, memory: Memory, facts: Facts, asked: datetime | None) -> Step:
    """The step, or that the reboot is waited for: `asked` is when this agent asked for one in this boot.

    In Failed and at rest the health gate has asked, once it had given its verdict. A time that has not come yet, by a
    clock that was set since, tells nothing.
    """
    if step.deed is not Deed.REBOOT:
        return step
    of_the_gate = memory.state is State.FAILED or memory.resting
    verdict = facts.verdict if of_the_gate and facts.judged else None
    times = [each for each in (asked, verdict.at if verdict else None) if each is not None]
    if any(timedelta(0) <= facts.now - each < timedelta(seconds=REBOOT_SECONDS) for each in times):
        return replace(
            step, deed=Deed.WAIT, reason=f"{step.reason}: the reboot was asked for, and pods have their grace"
        )
    return step
