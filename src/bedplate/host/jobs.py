"""Programs that run side by side, are watched while they run, and end when we do."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from bedplate.host.run import TAIL_LINES, Completed, ProgramFailed, clean_environment
from bedplate.model.errors import MachineError

GRACE_SECONDS = 10.0
LINE_BYTES = 1 << 22
NOT_FOUND = 127
"""What setpriv(1) ends with when it does not find the program."""


class Jobs(Protocol):
    """Runs programs without blocking; cancelling the call ends the program and all that it started."""

    async def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path,
        env: Mapping[str, str],
        log: Path,
        on_line: Callable[[str], None],
    ) -> Completed:
        """Run `argv` to its end; each line of its output goes to `log` and to `on_line` as it comes.

        `stdout` of the result holds the last lines. Raises `ProgramFailed` for any code but 0 and
        `MachineError` when the program is missing.
        """
        ...


class SystemJobs:
    """Runs programs on this machine, each in a session of its own."""

    async def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path,
        env: Mapping[str, str],
        log: Path,
        on_line: Callable[[str], None],
    ) -> Completed:
        command = tuple(str(part) for part in argv)
        started = time.monotonic()
        log.parent.mkdir(parents=True, exist_ok=True)
        process = await _start(command, cwd, env)
        try:
            last = await _follow(process, log, on_line)
            code = await process.wait()
        finally:
            await _end(process)
        if code == NOT_FOUND:
            raise MachineError(f"{command[0]} cannot be run.", details=b"\n".join(last).decode(errors="replace"))
        completed = Completed(command, code, b"\n".join(last), b"", time.monotonic() - started)
        if code != 0:
            raise ProgramFailed(completed)
        return completed


async def _start(command: tuple[str, ...], cwd: Path, env: Mapping[str, str]) -> asyncio.subprocess.Process:
    # The kernel ends the program should we be killed without a chance to do it (prctl(2), PR_SET_PDEATHSIG).
    # Not by SIGINT: a shell that starts us in the background makes us, and so the program, ignore that.
    tied = ("setpriv", "--pdeathsig=TERM", *command)
    environment = clean_environment(env)
    try:
        return await asyncio.create_subprocess_exec(
            *tied,
            cwd=cwd,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=LINE_BYTES,
        )
    except FileNotFoundError as problem:
        raise MachineError(
            f"{problem.filename} is not there.",
            details=str(problem),
            resolution="Run ./dev setup, which installs what is needed.",
        ) from problem


async def _follow(process: asyncio.subprocess.Process, log: Path, on_line: Callable[[str], None]) -> deque[bytes]:
    last: deque[bytes] = deque(maxlen=TAIL_LINES)
    if process.stdout is None:
        return last
    with log.open("wb") as sink:
        async for line in process.stdout:
            sink.write(line)
            sink.flush()
            last.append(line.rstrip(b"\n"))
            on_line(line.decode(errors="replace").rstrip("\n"))
    return last


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the program's whole session, and kill what does not heed that."""
    for which in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, which)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE_SECONDS)
