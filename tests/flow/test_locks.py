"""Who waits for a lock is told who holds it."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bedplate.host.locks import in_turn, is_held, take


@contextmanager
def nobody_waits(line: str) -> Iterator[None]:
    raise AssertionError(line)
    yield


def test_a_free_lock_is_taken_at_once_and_given_back(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    with in_turn(lock, doing="building", waiting=nobody_waits):
        assert is_held(lock)
    assert not is_held(lock)


def test_a_lock_is_given_back_after_a_failure(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    with pytest.raises(KeyError), in_turn(lock, doing="building", waiting=nobody_waits):
        {}["absent"]
    assert not is_held(lock)


@contextmanager
def asking(lock: Path) -> Iterator[None]:
    """The moment in which another process finds out whether the lock is held."""
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def test_who_asks_does_not_see_others_who_ask(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    lock.touch()
    with asking(lock):
        assert not is_held(lock)


def test_who_takes_the_lock_waits_for_those_who_ask(tmp_path: Path) -> None:
    lock, taken = tmp_path / "a.lock", list[int | None]()
    lock.touch()
    thread = threading.Thread(target=lambda: taken.append(take(lock)))
    with asking(lock):
        thread.start()
    thread.join(10)
    (handle,) = taken
    assert handle is not None
    assert is_held(lock)
    os.close(handle)


def test_a_lock_that_is_held_is_not_taken(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    with in_turn(lock, doing="building", waiting=nobody_waits):
        assert take(lock) is None


def test_asking_makes_no_lock(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "a.lock")
    assert not (tmp_path / "a.lock").exists()


def test_the_second_is_told_who_holds_it_and_comes_after(tmp_path: Path) -> None:
    lock, order, waits = tmp_path / "a.lock", list[str](), threading.Event()

    @contextmanager
    def waiting(line: str) -> Iterator[None]:
        order.append(line)
        waits.set()
        yield
        order.append("waited")

    def second() -> None:
        with in_turn(lock, doing="more", waiting=waiting):
            order.append("second")

    with in_turn(lock, doing="building", waiting=nobody_waits):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(10)
        order.append("first ends")
    thread.join(10)
    assert order == [f"Wait for process {os.getpid()} (building)", "first ends", "waited", "second"]
