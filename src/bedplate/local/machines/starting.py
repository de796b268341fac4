"""Waits for a machine that was just switched on to answer its monitor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bedplate.host.clock import Clock
from bedplate.local.machines.qmp import MachineMonitor
from bedplate.model.errors import MachineError

LIMIT_SECONDS = 30.0
POLL_SECONDS = 0.02
LOG_LINES = 10

Connect = Callable[[Path], MachineMonitor]


def await_monitor(connect: Connect, socket: Path, *, runs: Callable[[], bool], log: Path, clock: Clock) -> None:
    """Return when the machine has answered once.

    Raises `MachineError` with what QEMU wrote in `log` when it ended instead (`runs` tells), or when
    it has not opened its socket after `LIMIT_SECONDS`.
    """
    end = clock.monotonic() + LIMIT_SECONDS
    while True:
        try:
            with connect(socket):
                return
        except MachineError as problem:
            if not runs():
                raise MachineError("QEMU ended at once.", details=_tail(log)) from problem
            if clock.monotonic() >= end:
                raise
            clock.sleep(POLL_SECONDS)


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-LOG_LINES:]) or "It wrote nothing."
