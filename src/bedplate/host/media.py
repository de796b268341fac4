"""Files that were carried here: on a disk of this machine, or on a stick whose file system nobody trusts.

A stick is not mounted: a file system that was made to attack would be the kernel's to read. Its FAT is read here, by
`bedplate.wire.fat`, from a device that is opened for reading alone.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from bedplate.host.devices import read_all, told
from bedplate.model.errors import PeerError
from bedplate.model.reading import ReadAt
from bedplate.wire.fat import BadVolume, read_volume

LABEL = "LABEL="
ON_A_STICK = "bundle.zip"
"""The name of the file in the root of a stick."""


class Media(Protocol):
    """Files by their place: a path, or `LABEL=NAME` for `bundle.zip` on the FAT32 volume of that label."""

    def stamp(self, place: str) -> str:
        """Empty when nothing is there; another text when something else is."""
        ...

    def open(self, place: str) -> AbstractContextManager[BinaryIO]:
        """The file for as long as the block lasts. `PeerError` when there is none.

        Raises `MachineError`, in reading too, when a stick fails or is pulled out.
        """
        ...


class SystemMedia:
    """What this machine has; `root` is where its files begin."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def stamp(self, place: str) -> str:
        path = self._path(place)
        try:
            # The device node of a stick is made anew when one is plugged in, and so has a new time.
            found = path.stat()
        except OSError:
            return ""
        return f"{path.resolve().name} {found.st_ino} {found.st_size} {found.st_mtime_ns}"

    @contextmanager
    def open(self, place: str) -> Iterator[BinaryIO]:
        path = self._path(place)
        try:
            opened = path.open("rb")
        except FileNotFoundError as problem:
            raise PeerError(f"There is no bundle at {place}.", details=str(problem)) from problem
        with opened:
            if place.startswith(LABEL):
                yield _file_of(place, _Device(path, opened.fileno()))
            else:
                yield opened

    def _path(self, place: str) -> Path:
        if place.startswith(LABEL):
            return self._root / "dev/disk/by-label" / place.removeprefix(LABEL)
        return self._root / place.lstrip("/")


class _Device:
    """Implements `ReadAt` on an open device."""

    def __init__(self, path: Path, opened: int) -> None:
        self._path, self._opened = path, opened
        self.size = os.lseek(opened, 0, os.SEEK_END)

    def read_at(self, offset: int, size: int) -> bytes:
        with told(self._path, f"read at {offset}"):
            data = read_all(self._opened, offset, size)
            if len(data) < min(size, self.size - offset):
                raise OSError(errno.EIO, "It has become smaller")  # as what was pulled out does
            return data


class _Stream(io.RawIOBase):
    """Bytes at places, as a file that can be read from end to end and sought in."""

    def __init__(self, source: ReadAt) -> None:
        self._source, self._at = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._source.size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # what a reader hands in
        data = self._source.read_at(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _file_of(place: str, device: ReadAt) -> BinaryIO:
    try:
        volume = read_volume(device)
        name = next((each for each in volume.folder("") if each.name.lower() == ON_A_STICK and not each.folder), None)
        if name is None:
            raise PeerError(f"There is no {ON_A_STICK} at {place}.")
        return io.BufferedReader(_Stream(volume.file(name)), 1 << 16)
    except BadVolume as problem:
        raise PeerError(
            f"{place} cannot be read.",
            details=str(problem),
            resolution=f"Format the stick as FAT32 and copy {ON_A_STICK} to it again.",
        ) from problem
