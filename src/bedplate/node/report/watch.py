"""Says the report on the console: once, then each line that changes, until the node is Ready."""

from __future__ import annotations

from collections.abc import Callable

from bedplate.host.clock import Clock
from bedplate.node.report.facts import Facts
from bedplate.node.report.rules import Line, is_ready, judge

EVERY_SECONDS = 10.0
"""A round takes about a second of an emulated processor, which the kubelet may need."""


def watch(gather: Callable[[], Facts], say: Callable[[str], None], clock: Clock) -> None:
    """Report until the node is Ready. A unit that recovers is not mentioned again; the node's own line tells."""
    said: set[tuple[object, ...]] = set()
    while True:
        facts = gather()
        lines = judge(facts)
        for line in changed(lines, said):
            say(str(line))
        if is_ready(facts):
            return
        said = {line.key for line in lines}
        clock.sleep(EVERY_SECONDS)


def changed(lines: tuple[Line, ...], said: set[tuple[object, ...]]) -> tuple[Line, ...]:
    """The lines that were not said last time."""
    return tuple(line for line in lines if line.key not in said)
