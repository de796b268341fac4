"""What the next step is decided by: the node as it is, and what is on offer. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bedplate.node.health.verdict import Verdict
from bedplate.node.slots.loader import Entry
from bedplate.wire.release import Release


@dataclass(frozen=True, slots=True)
class Facts:
    """The node at one instant. `entries` are what the boot loader lists, its choice first; `boot` is the kernel's id.

    `verdict` is the last one of the health gate, of whatever boot; `failed` is the last one that was bad. `unreadable`
    is why the disk does not tell what the loader lists; then `entries` is empty and means nothing.
    """

    version: str
    root_hash: str
    boot: str
    now: datetime
    entries: tuple[Entry, ...]
    verdict: Verdict | None = None
    failed: Verdict | None = None
    unreadable: str = ""

    @property
    def running(self) -> Entry | None:
        return next((each for each in self.entries if each.root_hash == self.root_hash), None)

    @property
    def others(self) -> tuple[Entry, ...]:
        return tuple(each for each in self.entries if each.root_hash != self.root_hash)

    @property
    def judged(self) -> bool:
        """Whether the gate has told of this boot."""
        return self.verdict is not None and self.verdict.boot == self.boot

    @property
    def unhealthy(self) -> tuple[str, ...]:
        """What the gate found wrong with this boot; empty as well before it has told."""
        return self.verdict.findings if self.verdict is not None and self.judged else ()


@dataclass(frozen=True, slots=True)
class Offer:
    """What the wish comes to: the release that is to be had, or why none is; both empty when nothing is wanted.

    `withdrawn` is that the repository says no to it, `unanswered` that none could be asked or believed, `unheard` that
    the wish itself cannot be read.
    """

    release: Release | None = None
    problem: str = ""
    withdrawn: bool = False
    unanswered: bool = False
    unheard: bool = False
