"""Maintenance windows in a named time zone, over midnight and over the change to summer time."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from bedplate.rollout.windows import Day, Window, is_open, next_opening

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = Window(days=(Day.SAT,), start=time(23, 30), minutes=120)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "opened"),
    [
        ("2026-11-28T23:29", False),
        ("2026-11-28T23:30", True),
        ("2026-11-29T01:29", True),
        ("2026-11-29T01:30", False),
        ("2026-11-29T23:45", False),
    ],
)
def test_a_window_may_go_over_midnight(now: str, *, opened: bool) -> None:
    assert is_open((NIGHT,), at(now), BERLIN) is opened


def test_the_next_opening_is_the_earliest_of_all() -> None:
    noon = Window(days=(Day.SUN,), start=time(12), minutes=1)
    assert next_opening((NIGHT, noon), at("2026-11-28T23:40"), BERLIN) == at("2026-11-29T12:00")
    assert next_opening((NIGHT, noon), at("2026-11-29T12:00"), BERLIN) == at("2026-12-05T23:30")
    assert next_opening((), at("2026-11-29T12:00"), BERLIN) is None


def test_a_window_keeps_to_the_clock_on_the_wall_when_summer_time_ends() -> None:
    early = Window(start=time(4), minutes=10)
    assert next_opening((early,), datetime(2026, 10, 24, 12, tzinfo=UTC), BERLIN) == datetime(
        2026, 10, 25, 3, tzinfo=UTC
    )
    assert next_opening((early,), datetime(2026, 10, 23, 12, tzinfo=UTC), BERLIN) == datetime(
        2026, 10, 24, 2, tzinfo=UTC
    )


def test_a_window_is_as_long_as_it_says_when_summer_time_begins() -> None:
    over = Window(start=time(1, 30), minutes=60)
    assert is_open((over,), datetime(2027, 3, 28, 1, 29, tzinfo=UTC), BERLIN)
    assert not is_open((over,), datetime(2027, 3, 28, 1, 30, tzinfo=UTC), BERLIN)


@pytest.mark.parametrize("minutes", [0, -1, 7 * 24 * 60 + 1])
def test_a_window_has_a_length(minutes: int) -> None:
    with pytest.raises(ValueError, match="between a minute and a week"):
        Window(start=time(1), minutes=minutes)
