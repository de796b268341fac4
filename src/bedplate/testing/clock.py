"""A clock that moves only when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


class FakeClock:
    """Implements `bedplate.host.clock.Clock`; `sleep` returns at once and moves the time on."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        self._passed += seconds

    def set(self, moment: datetime) -> None:
        """Show another date from here on; how much time passes does not change by it."""
        self._start = moment - timedelta(seconds=self._passed)
