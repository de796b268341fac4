"""A runner that runs nothing: it records what it was asked and answers as a test has laid down."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from bedplate.host.run import Completed, ProgramFailed

Act = Callable[[tuple[str, ...]], Completed]


def completed(argv: tuple[str, ...], *, code: int = 0, stdout: bytes = b"", stderr: bytes = b"") -> Completed:
    """An outcome that took no time."""
    return Completed(argv, code, stdout, stderr, 0.0)


class FakeRunner:
    """Implements `bedplate.host.run.Runner`. `act` plays every program; by default all succeed in silence."""

    def __init__(self, act: Act = completed) -> None:
        self._act = act
        self.commands: list[tuple[str, ...]] = []

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
        del cwd, env, stdin, seconds, log
        command = tuple(str(part) for part in argv)
        self.commands.append(command)
        done = self._act(command)
        if done.code not in ok:
            raise ProgramFailed(done)
        return done
