"""Locks between processes that end with their holder, however it ends (flock(2))."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bedplate.host.clock import Clock
from bedplate.model.errors import UserError

POLL_SECONDS = 0.05


def take(path: Path) -> int | None:
    """The lock as an open file, or `None` while somebody else holds it.

    It is free again when every copy of the file is closed; a process that it is handed to holds it on.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _try(handle, fcntl.LOCK_EX):
            if not _try(handle, fcntl.LOCK_SH):
                os.close(handle)
                return None
            # In the way was somebody in `is_held`, who is gone in a moment.
    except BaseException:
        os.close(handle)
        raise
    return handle


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock now. Asking is in nobody's way: not of others who ask, nor of `take`."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def _try(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_until_free(path: Path, *, seconds: float, clock: Clock) -> bool:
    """Wait for the lock to be free; `False` when it is still held after `seconds`."""
    end = clock.monotonic() + seconds
    while is_held(path):
        if clock.monotonic() >= end:
            return False
        clock.sleep(POLL_SECONDS)
    return True


@contextmanager
def alone(path: Path, *, doing: str) -> Iterator[None]:
    """Hold the lock for a block. Raises `UserError` at once when another process holds it.

    `doing` ("taking down the cluster") is what that one is told, with our process number.
    """
    handle = take(path)
    if handle is None:
        raise UserError(
            f"Process {path.read_text().strip() or 'unknown'} is in the way.",
            details=f"It holds {path}.",
            resolution="Wait until it has ended, then try again.",
        )
    try:
        _sign(handle, doing)
        yield
    finally:
        os.close(handle)


def _sign(handle: int, doing: str) -> None:
    """Write into the lock file who holds it, and what for."""
    os.truncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()} ({doing})\n".encode(), 0)


@contextmanager
def in_turn(path: Path, *, doing: str, waiting: Callable[[str], AbstractContextManager[object]]) -> Iterator[None]:
    """Hold the lock for a block, after its present holder if there is one.

    `doing` ("building components") and our process number are written into the file. While somebody else
    holds it we are inside `waiting(LINE)`, where the line tells what that holder wrote there.
    """
    handle = take(path)
    if handle is None:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        with waiting(f"Wait for process {path.read_text().strip() or 'that takes the lock now'}"):
            fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        _sign(handle, doing)
        yield
    finally:
        os.close(handle)
