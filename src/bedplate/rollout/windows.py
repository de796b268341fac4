"""Maintenance windows: times of the week, in a named time zone, in which nodes may be disturbed."""

from __future__ import annotations

from datetime import datetime, time, timedelta, tzinfo
from enum import StrEnum

import msgspec


class Day(StrEnum):
    """In the order of `datetime.weekday`."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Opens on each of `days` at `start` (local time, without zone), for `minutes`, over midnight if need be.

    A start that summer time skips counts by the offset from before; one that it repeats counts the first time.
    """

    days: tuple[Day, ...] = tuple(Day)
    start: time
    minutes: int

    def __post_init__(self) -> None:
        if not 0 < self.minutes <= 7 * 24 * 60:
            raise ValueError("a window is open for between a minute and a week")
        if self.start.tzinfo is not None:
            raise ValueError("a window's start has no zone of its own")


def is_open(windows: tuple[Window, ...], now: datetime, zone: tzinfo) -> bool:
    """Whether one of the windows is open at `now`."""
    return any(
        opened <= now < opened + timedelta(minutes=window.minutes) for window, opened in _around(windows, now, zone)
    )


def next_opening(windows: tuple[Window, ...], now: datetime, zone: tzinfo) -> datetime | None:
    """When the next window opens; None where there is none."""
    return min((opened for _, opened in _around(windows, now, zone) if opened > now), default=None)


def _around(windows: tuple[Window, ...], now: datetime, zone: tzinfo) -> list[tuple[Window, datetime]]:
    """The openings from a week before to a week after, as instants."""
    today = now.astimezone(zone).date()
    days = [today + timedelta(days=offset) for offset in range(-8, 9)]
    return [
        (window, datetime.combine(day, window.start, zone).astimezone(now.tzinfo))
        for window in windows
        for day in days
        if tuple(Day)[day.weekday()] in window.days
    ]
