"""A store of files in memory that records each write, and can lose its power after any of them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from bedplate.model.digests import Sha256


class PowerCut(Exception):
    """The write that was to come never happened."""


@dataclass
class MemoryStore:
    """Implements `bedplate.release.publish.store.Store`. `writes` are the paths in the order they were written.

    With `power` the store takes that many writes more, and then raises `PowerCut`.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    power: int | None = None

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def open(self, path: str) -> IO[bytes]:
        return io.BytesIO(self.files[path])

    def measure(self, path: str) -> tuple[int, Sha256] | None:
        data = self.files.get(path)
        return None if data is None else (len(data), Sha256(hashlib.sha256(data).hexdigest()))

    def paths(self) -> Iterator[str]:
        yield from sorted(self.files)

    def write(self, path: str, data: bytes) -> None:
        if self.power is not None:
            if not self.power:
                raise PowerCut
            self.power -= 1
        self.writes.append(path)
        self.files[path] = data

    def copy(self, path: str, source: Path) -> None:
        self.write(path, source.read_bytes())

    def settle(self) -> None:
        pass
