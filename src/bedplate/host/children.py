"""Processes that are kept running: start, signal, and learn which have ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from bedplate.host import run


class Children(Protocol):
    """The processes of one parent."""

    def start(self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> int:
        """Start one and return its number. Raises `MachineError` when it cannot be started."""
        ...

    def ask_to_end(self, number: int) -> None:
        """SIGTERM to the process and whatever it started in its session's group."""
        ...

    def kill(self, number: int) -> None:
        """SIGKILL to the process and whatever it started in its session's group."""
        ...

    def reap(self) -> list[tuple[int, int]]:
        """Number and exit code (negative: the signal) of every process that has ended since last asked."""
        ...


class SystemChildren:
    """The children of this process. As process 1 of a namespace it gets the orphans too."""

    def start(self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> int:
        return run.start(argv, cwd=cwd, env=env, log=log)

    def ask_to_end(self, number: int) -> None:
        _signal(number, signal.SIGTERM)

    def kill(self, number: int) -> None:
        _signal(number, signal.SIGKILL)

    def reap(self) -> list[tuple[int, int]]:
        ended: list[tuple[int, int]] = []
        while True:
            try:
                number, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return ended
            if not number:
                return ended
            ended.append((number, os.waitstatus_to_exitcode(status)))


def _signal(number: int, which: signal.Signals) -> None:
    try:
        os.killpg(number, which)
    except ProcessLookupError:
        return
