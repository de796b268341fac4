"""A program that runs beside a block, and ends with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bedplate.host.clock import Clock, wait_until
from bedplate.host.run import TAIL_LINES, TIED, start
from bedplate.model.errors import MachineError

START_SECONDS = 10.0
GRACE_SECONDS = 2.0
POLL_SECONDS = 0.02


@contextmanager
def beside(
    argv: Sequence[str | Path], *, says: str, log: Path, cwd: Path, env: Mapping[str, str], clock: Clock
) -> Iterator[None]:
    """Run `argv` for a block, which begins when `says` stands in what the program wrote.

    At the end it gets SIGTERM, and SIGKILL if it does not heed that, or should we be killed. `log`, new, gets both
    output streams. Raises `MachineError` when the program ends before it said that, or says nothing for
    `START_SECONDS`.
    """
    number = start([*TIED, *argv], log=log, cwd=cwd, env=env)
    ended = False

    def still_running() -> str:
        nonlocal ended
        ended = ended or os.waitpid(number, os.WNOHANG) != (0, 0)
        return "" if ended else "its end"

    def nothing_missing() -> str:
        return "" if not still_running() or says in log.read_text(errors="replace") else "its first words"

    try:
        waited = wait_until(nothing_missing, clock, seconds=START_SECONDS, every=POLL_SECONDS)
        if ended or waited.missing:
            tail = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
            raise MachineError(f"{argv[0]} did not start.", details="\n".join(tail))
        yield
    finally:
        if still_running():
            _signal(number, signal.SIGTERM)
            wait_until(still_running, clock, seconds=GRACE_SECONDS, every=POLL_SECONDS)
        if not ended:
            _signal(number, signal.SIGKILL)
            os.waitpid(number, 0)


def _signal(number: int, which: signal.Signals) -> None:
    """To the program and whatever it started."""
    with suppress(ProcessLookupError):
        os.killpg(number, which)
