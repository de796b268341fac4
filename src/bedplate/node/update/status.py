"""What the agent tells of itself: a file, and an annotation of the node's object, written when it changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from bedplate.host.files import write_atomically
from bedplate.model.errors import MachineError
from bedplate.model.network import Reach
from bedplate.node.apiserver import OwnNode
from bedplate.node.update.facts import Facts
from bedplate.node.update.memory import LINE_LENGTH, Memory, cut
from bedplate.node.update.plan import others_that_work
from bedplate.wire.desired import STATUS, Failed, Line, Status, Wish

FILE = "status.json"
SHOWN_HISTORY, SHOWN_FAILURES, SHOWN_LINES = 30, 5, 20
"""An object's annotations may have 256 KiB in all, and every watcher of the node gets them."""


def status_of(
    memory: Memory, facts: Facts, wish: Wish, doing: str, *, busy: bool, clock: str, unknown: Sequence[str] = ()
) -> Status:
    """The state in plain values, cut to what an annotation may hold. `unknown` are settings that are passed over."""
    working = [each.version for each in others_that_work(memory, facts)]
    target = memory.target
    return Status(
        version=facts.version,
        state=memory.state,
        since=memory.since,
        target=target.version if target and not memory.resting else "",
        doing=cut(doing),
        busy=busy,
        other=working[0] if working else "",
        pinned=wish.pinned,
        asked=wish.asked,
        clock=clock,
        unknown_settings=tuple(cut(key, LINE_LENGTH) for key in islice(unknown, SHOWN_LINES)),
        unhealthy=tuple(cut(finding) for finding in islice(facts.unhealthy, SHOWN_LINES)),
        failures=tuple(
            Failed(
                version=each.version,
                root_hash=each.root_hash,
                at=each.at,
                reason=cut(each.reason),
                last_lines=tuple(cut(line, LINE_LENGTH) for line in each.last_lines[-SHOWN_LINES:]),
            )
            for each in memory.failures[:SHOWN_FAILURES]
        ),
        history=tuple(
            Line(at=each.at, state=each.state, version=each.version, reason=cut(each.reason))
            for each in memory.history[:SHOWN_HISTORY]
        ),
    )


@dataclass(slots=True)
class Publisher:
    """Tells it where it changed. An API server that is away is told when it is back, and keeps nothing waiting.

    `say` tells people why it does not take it, once.
    """

    node: OwnNode
    folder: Path
    say: Callable[[str], None]
    written: Status | None = None
    annotated: Status | None = None
    step: Status | None = None
    """The last one without progress."""
    refused: str = ""

    def publish(self, status: Status) -> None:
        self.step = status
        self._publish(status)

    def progress(self, words: str) -> None:
        """Add to what is being done how far it is. Where that cannot be told, the work goes on, and the next may be."""
        if self.step is not None:
            with suppress(MachineError, OSError):
                self._publish(msgspec.structs.replace(self.step, doing=f"{self.step.doing} ({words})"))

    def _publish(self, status: Status) -> None:
        """Raises `MachineError` when the file cannot be written, after the API server was told."""
        self._annotate(status)
        if status != self.written:
            write_atomically(self.folder / FILE, msgspec.json.format(msgspec.json.encode(status), indent=1) + b"\n")
            self.written = status

    def _annotate(self, status: Status) -> None:
        if status != self.annotated and self.node.belongs():
            answer = self.node.annotate({STATUS: msgspec.json.encode(status).decode()})
            if answer.status == 200:
                self.annotated, self.refused = status, ""
            elif answer.reach is Reach.ANSWERED:
                self._told(f"{answer.status} {cut(answer.body.decode(errors='replace'), LINE_LENGTH)}")

    def _told(self, refused: str) -> None:
        if refused != self.refused:
            self.say(f"The API server does not take the status: {refused}")
            self.refused = refused
