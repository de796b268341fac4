"""What the cache can say of a build."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import msgspec


class Binary(msgspec.Struct, frozen=True):
    """One program as it was built, and the marks that its file bore when its digest was last computed."""

    sha256: str
    size: int
    mtime_ns: int
    ctime_ns: int

    def marks(self) -> tuple[int, int, int]:
        return self.size, self.mtime_ns, self.ctime_ns


class Receipt(msgspec.Struct, frozen=True):
    """What was built, with which Go, and how long it took (wall-clock seconds)."""

    component: str
    version: str
    toolchain: str
    key: str
    seconds: float
    binaries: dict[str, Binary]


class State(Enum):
    WHOLE = "whole"
    MISSING = "missing"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Entry:
    """What the cache holds for one key: `detail` names what is damaged, `previous` is the latest other build."""

    state: State
    path: Path
    detail: str = ""
    previous: Receipt | None = None
