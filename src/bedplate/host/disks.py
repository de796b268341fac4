"""The door to block devices: the disk this machine runs from, its partitions, and the files of its ESP."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from bedplate.wire.gpt import Slice


class BlockDevice(Protocol):
    """A disk or a partition. Places and sizes are bytes; all four raise `MachineError`."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, size: int) -> bytes:
        """What the device has there, never what the page cache has; shorter at the end of the device."""
        ...

    def write_at(self, offset: int, data: bytes) -> None:
        """Write, with no promise on when and in which order until `flush`."""
        ...

    def flush(self) -> None:
        """Return when all that was written survives a power cut."""
        ...


@dataclass(frozen=True, slots=True)
class EspFile:
    """A file on the ESP: its name within its folder, and its size in bytes."""

    name: str
    size: int


class Esp(Protocol):
    """The files of a mounted ESP, by path from its root (`EFI/Linux/x.efi`). All raise `MachineError`.

    Nothing is durable, nor in any order, until `sync`.
    """

    def list(self, folder: str) -> Sequence[EspFile]:
        """The files in a folder, by name; none when there is no such folder."""
        ...

    def read_at(self, path: str, offset: int, size: int) -> bytes:
        """Bytes of a file from the disk, past the page cache; shorter at its end."""
        ...

    def create(self, path: str) -> None:
        """An empty file. There must be none of that name."""
        ...

    def write_at(self, path: str, offset: int, data: bytes) -> None:
        """Write into a file that is there; in place, and further at its end."""
        ...

    def remove(self, path: str) -> None: ...

    def sync(self) -> None:
        """Return when all that was done so far survives a power cut."""
        ...


class Disks(Protocol):
    """The disk that this machine runs from."""

    def disk(self) -> AbstractContextManager[BlockDevice]:
        """The whole disk, for its partition table."""
        ...

    def partition(self, part: Slice, *, exclusive: bool = False) -> AbstractContextManager[BlockDevice]:
        """One partition. With `exclusive`, `MachineError` when anything has it in use, as dm-verity has its own."""
        ...

    def esp(self, part: Slice) -> AbstractContextManager[Esp]:
        """The ESP, mounted for as long as the block lasts."""
        ...
