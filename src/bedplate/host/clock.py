"""The clock as a door: what waits or measures is handed one of these."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time in two kinds: `now` for dates that people read, `monotonic` (seconds) for durations."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(tz=UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Waited:
    """How a wait ended: what was still missing, empty when all was there, and the seconds it took."""

    missing: str
    seconds: float


def wait_until(nothing_missing: Callable[[], str], clock: Clock, *, seconds: float, every: float) -> Waited:
    """Ask what is missing until the answer is empty or `seconds` have passed; asks at least once."""
    started = clock.monotonic()
    while True:
        missing = nothing_missing()
        passed = clock.monotonic() - started
        if not missing or passed >= seconds:
            return Waited(missing, passed)
        clock.sleep(every)
