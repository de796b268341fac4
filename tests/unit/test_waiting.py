"""Waiting asks, and gives up when its time is over."""

from __future__ import annotations

from collections.abc import Iterator

from bedplate.host.clock import Waited, wait_until
from bedplate.testing.clock import FakeClock


def test_what_is_there_is_not_waited_for() -> None:
    assert wait_until(lambda: "", FakeClock(), seconds=5, every=1) == Waited("", 0)


def test_waiting_ends_when_nothing_is_missing() -> None:
    answers: Iterator[str] = iter(["a node", "a node", ""])
    assert wait_until(lambda: next(answers), FakeClock(), seconds=5, every=1) == Waited("", 2)


def test_what_is_still_missing_at_the_end_is_told() -> None:
    assert wait_until(lambda: "a node", FakeClock(), seconds=5, every=2) == Waited("a node", 6)
