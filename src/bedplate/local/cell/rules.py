"""When a process of a cell is started again, and what is told of it. Pure: the time is handed in."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bedplate.wire.cell import ProcessStatus


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds before a restart: `first`, doubled at each quick end up to `most`.

    A process that ran for `steady` seconds counts as healthy again.
    """

    first: float = 0.25
    most: float = 15.0
    steady: float = 30.0

    def delay(self, quick_ends: int) -> float:
        """How long to wait after so many quick ends in a row (at least 1)."""
        return min(self.most, self.first * 2.0 ** min(quick_ends - 1, 16))


@dataclass(frozen=True, slots=True)
class Record:
    """The life of one process so far. `since` is when the present state began, in monotonic seconds."""

    since: float
    running: bool = True
    code: int | None = None
    restarts: int = 0
    quick_ends: int = 0

    def ended(self, code: int, *, now: float, backoff: Backoff) -> Record:
        quick = now - self.since < backoff.steady
        return replace(self, running=False, code=code, since=now, quick_ends=self.quick_ends + 1 if quick else 1)

    def restarted(self, *, now: float) -> Record:
        return replace(self, running=True, since=now, restarts=self.restarts + 1)

    def status(self, name: str, *, now: float) -> ProcessStatus:
        return ProcessStatus(
            name=name,
            state="running" if self.running else "exited",
            code=self.code,
            restarts=self.restarts,
            seconds=round(now - self.since, 1),
        )
