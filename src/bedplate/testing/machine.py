"""A machine made of plain values, and a runner that answers from a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bedplate.host.run import Completed, ProgramFailed


@dataclass
class FakeMachine:
    """Implements `bedplate.host.machine.Machine`: a sound machine, until a test changes one fact."""

    core_count: int = 2
    memory: int = 16 * 1024**3
    space: int = 100 * 1024**3
    absent: set[str] = field(default_factory=set)
    """Names of programs, and paths of files and devices, that are not there."""
    taken: set[int] = field(default_factory=set)
    root: bool = False
    ids: int = 65536

    def cores(self) -> int:
        return self.core_count

    def available_memory(self) -> int:
        return self.memory

    def free_space(self, path: Path) -> int:
        del path
        return self.space

    def program(self, name: str) -> bool:
        return name not in self.absent

    def is_file(self, path: Path) -> bool:
        return str(path) not in self.absent

    def opens(self, path: Path) -> bool:
        return str(path) not in self.absent

    def port_free(self, port: int) -> bool:
        return port not in self.taken

    def is_root(self) -> bool:
        return self.root

    def subordinate_ids(self, table: Path) -> int:
        del table
        return self.ids


@dataclass
class FakeRunner:
    """Implements `bedplate.host.run.Runner`: every program succeeds, but for those in `failing`."""

    failing: Mapping[str, str] = field(default_factory=dict)
    """From a program's name to what it says on standard error."""
    ran: list[tuple[str, ...]] = field(default_factory=list)

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
        self.ran.append(command)
        said = self.failing.get(command[0])
        done = Completed(command, 0 if said is None else 1, b"", (said or "").encode(), 0.0)
        if done.code not in ok:
            raise ProgramFailed(done)
        return done
