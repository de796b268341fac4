"""A machine made of plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


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
