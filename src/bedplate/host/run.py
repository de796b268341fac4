"""The one place that starts other programs.

Programs get a clean environment, a fixed locale, no input unless given, and their outcome comes back
as a value. A program that fails raises with the command line ready to paste and what it printed.
"""

from __future__ import annotations

import errno
import os
import shlex
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bedplate.model.errors import MachineError

PASSED_ON = (
    "HOME",
    "PATH",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "XDG_CACHE_HOME",
    "XDG_STATE_HOME",
    "GOPROXY",
    "GONOSUMDB",
    "GOSUMDB",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
TAIL_LINES = 25
NOT_FOUND = 127
"""What setpriv(1) ends with when it does not find the program."""
NO_SPACE = "No space left on device"
CANNOT_RUN = (errno.EACCES, errno.ENOEXEC)
TIED = ("setpriv", "--pdeathsig=KILL")
"""The kernel ends the program should we be killed without a chance to do it (prctl(2), PR_SET_PDEATHSIG).

Not by SIGTERM, which unshare(1) does not heed while it waits for its child.
"""


@dataclass(frozen=True, slots=True)
class Completed:
    """What a program left behind. `seconds` is wall-clock time; `stdout` and `stderr` are bytes as written."""

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes
    seconds: float

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")


class ProgramFailed(MachineError):
    """A program ended with a code that the caller did not allow."""

    def __init__(self, completed: Completed, *, program: str = "") -> None:
        """`program` is what people call it, where that is not the first word."""
        self.completed = completed
        self.tail = (completed.stderr or completed.stdout).decode(errors="replace").splitlines()[-TAIL_LINES:]
        super().__init__(
            f"{program or completed.argv[0]} failed with code {completed.code}.",
            details="\n".join([f"$ {shlex.join(completed.argv)}", *self.tail]),
        )

    @property
    def for_want_of_space(self) -> bool:
        """Whether it said, in the words of strerror(3), that the disk is full."""
        return any(NO_SPACE in line for line in self.tail)


class Runner(Protocol):
    """Runs one program to its end."""

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        ok: Collection[int] = (0,),
        seconds: float | None = None,
        log: Path | None = None,
    ) -> Completed:
        """Run `argv`; `env` is added to the clean environment, `seconds` is a time limit.

        With `log`, both output streams go to that file as they are written, `stdout` of the result holds
        its last lines, and the program is killed when we are. Raises `ProgramFailed` for a
        code not in `ok`, `MachineError` when the program is missing, cannot be run or took too long.
        """
        ...


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment programs get: what is needed to find things and to reach the network, nothing else."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8", "TZ": "UTC", **(extra or {})}


class SystemRunner:
    """Runs programs on this machine."""

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        ok: Collection[int] = (0,),
        seconds: float | None = None,
        log: Path | None = None,
    ) -> Completed:
        command = tuple(str(part) for part in argv)
        started = time.monotonic()
        try:
            if log is None:
                done = subprocess.run(
                    command,
                    cwd=cwd,
                    env=clean_environment(env),
                    input=stdin,
                    timeout=seconds,
                    stdin=subprocess.DEVNULL if stdin is None else None,
                    capture_output=True,
                    check=False,
                )
                out, err = done.stdout, done.stderr
            else:
                done, out, err = _run_logged(command, cwd, env, stdin, seconds, log)
        except FileNotFoundError as problem:
            missing = command[0] if cwd is None or Path(cwd).is_dir() else str(cwd)
            raise MachineError(
                f"{missing} is not there.",
                details=str(problem),
                resolution="Run ./dev setup, which installs what is needed.",
            ) from problem
        except OSError as problem:
            if problem.errno not in CANNOT_RUN:
                raise
            raise MachineError(f"{command[0]} cannot be run.", details=str(problem)) from problem
        except subprocess.TimeoutExpired as problem:
            raise MachineError(
                f"{command[0]} took more than {seconds} s.", details=f"$ {shlex.join(command)}"
            ) from problem
        completed = Completed(command, done.returncode, out, err, time.monotonic() - started)
        if completed.code not in ok:
            raise ProgramFailed(completed)
        return completed


def _run_logged(
    command: Sequence[str],
    cwd: Path | None,
    env: Mapping[str, str] | None,
    stdin: bytes | None,
    seconds: float | None,
    log: Path,
) -> tuple[subprocess.CompletedProcess[bytes], bytes, bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        done = subprocess.run(
            [*TIED, *command],
            cwd=cwd,
            env=clean_environment(env),
            input=stdin,
            timeout=seconds,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=sink,
            stderr=subprocess.STDOUT,
            check=False,
        )
    last = b"\n".join(log.read_bytes().splitlines()[-TAIL_LINES:])
    if done.returncode == NOT_FOUND and last.startswith(TIED[0].encode()):
        raise FileNotFoundError(last.decode(errors="replace"))
    return done, last, b""


def start(
    argv: Sequence[str | Path],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Collection[int] = (),
) -> int:
    """Start a program in a session of its own and return its process number at once.

    Both output streams are added to `log`; the files in `pass_fds` stay open in it under the same
    numbers. The caller reaps it. Raises `MachineError` when it cannot be started.
    """
    command = tuple(str(part) for part in argv)
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("ab") as sink:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=clean_environment(env),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                pass_fds=tuple(pass_fds),
                start_new_session=True,
            )
    except OSError as problem:
        raise MachineError(
            f"{command[0]} cannot be started.",
            details=f"{problem}\n$ {shlex.join(command)}",
            resolution="Run ./dev setup, which installs what is needed.",
        ) from problem
    process.returncode = 0  # the caller waits for the number; Popen must neither wait for it nor warn
    return process.pid


def start_detached(
    argv: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    pass_fds: Collection[int] = (),
) -> None:
    """Start a program that outlives the caller and is nobody's child. Like `start` otherwise.

    A missing program shows in `log` only.
    """
    os.waitpid(start(["setsid", "--fork", *argv], log=log, env=env, pass_fds=pass_fds), 0)
