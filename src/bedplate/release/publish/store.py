"""Where a repository's files are kept. A file is whole or not there, whatever happens while it is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from bedplate.host.files import file_sha256, space_for, write_atomically
from bedplate.model.digests import Sha256


class Store(Protocol):
    """Files by their path in the repository. Each write is one step: the old content or the new, nothing else."""

    def read(self, path: str) -> bytes | None:
        """The content, or `None` when there is no such file."""
        ...

    def open(self, path: str) -> IO[bytes]: ...

    def measure(self, path: str) -> tuple[int, Sha256] | None:
        """Size and digest of a file of any size, or `None` when there is none."""
        ...

    def paths(self) -> Iterator[str]:
        """Every file there is, leftovers of writes that were cut short among them."""
        ...

    def write(self, path: str, data: bytes) -> None: ...

    def copy(self, path: str, source: Path) -> None: ...

    def settle(self) -> None:
        """Return once everything written before outlives a power cut, names included."""
        ...


class FolderStore:
    """A folder of this machine, for a web server to show or to be copied to a store of objects."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._touched: set[Path] = set()

    def read(self, path: str) -> bytes | None:
        try:
            return (self.folder / path).read_bytes()
        except FileNotFoundError:
            return None

    def open(self, path: str) -> IO[bytes]:
        return (self.folder / path).open("rb")

    def measure(self, path: str) -> tuple[int, Sha256] | None:
        file = self.folder / path
        return (file.stat().st_size, file_sha256(file)) if file.is_file() else None

    def paths(self) -> Iterator[str]:
        files = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        return (str(path.relative_to(self.folder)) for path in files)

    def write(self, path: str, data: bytes) -> None:
        write_atomically(self.folder / path, data)
        self._touch(path)

    def copy(self, path: str, source: Path) -> None:
        target = self.folder / path
        scratch = target.with_name(f".{target.name}.part")
        with space_for(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with source.open("rb") as reading, scratch.open("wb") as writing:
                    shutil.copyfileobj(reading, writing, 1 << 20)
                    writing.flush()
                    os.fsync(writing.fileno())
                scratch.replace(target)
            finally:
                scratch.unlink(missing_ok=True)
        self._touch(path)

    def settle(self) -> None:
        for folder in self._touched:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        self._touched.clear()

    def _touch(self, path: str) -> None:
        """Note the folders whose entries the write may have changed."""
        file = self.folder / path
        self._touched |= {file.parent, *(each for each in file.parents if each.is_relative_to(self.folder))}
