"""The door to block devices: the disk this machine runs from, its partitions, and the files of its ESP."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bedplate.host.devices import SystemDevice, read_all, told, write_all
from bedplate.host.run import Runner
from bedplate.model.errors import MachineError
from bedplate.wire.gpt import SECTOR, Slice

MOUNT = "nodev,nosuid,noexec,umask=0077,tz=UTC,errors=remount-ro"


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

    def files(self, folder: str) -> Sequence[EspFile]:
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


class SystemEsp:
    """The ESP mounted at `folder` from the block device `device`.

    The kernel's FAT driver flushes the device only for a file or folder that is itself told to (`fat_file_fsync`),
    and keeps its tables in the device's page cache: so `sync` tells every file that was written, the folders, and the
    device.
    """

    def __init__(self, folder: Path, device: Path) -> None:
        self.folder = folder
        self.device = device
        self._changed: set[Path] = set()

    def files(self, folder: str) -> Sequence[EspFile]:
        with told(self.folder / folder, "listed"):
            try:
                names = sorted(each for each in (self.folder / folder).iterdir() if each.is_file())
            except FileNotFoundError:
                return ()
            return tuple(EspFile(each.name, each.stat().st_size) for each in names)

    def read_at(self, path: str, offset: int, size: int) -> bytes:
        """FAT knows O_DIRECT only for what is aligned and within the file, so the pages are written out and dropped."""
        with told(self.folder / path, f"read at {offset}"):
            opened = os.open(self.folder / path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(opened)
                os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
                return read_all(opened, offset, size)
            finally:
                os.close(opened)

    def create(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with told(self.folder / path, "created"):
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.folder / path, flags, 0o600))
        self._changed |= {self.folder / path, (self.folder / path).parent}

    def write_at(self, path: str, offset: int, data: bytes) -> None:
        with told(self.folder / path, f"written at {offset}"):
            opened = os.open(self.folder / path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                write_all(opened, offset, data)
            finally:
                os.close(opened)
        self._changed.add(self.folder / path)

    def remove(self, path: str) -> None:
        with told(self.folder / path, "removed"):
            (self.folder / path).unlink()
        self._changed.discard(self.folder / path)
        self._changed.add((self.folder / path).parent)

    def sync(self) -> None:
        for path in (*sorted(self._changed), self.device):
            with told(path, "flushed"):
                opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(opened)
                finally:
                    os.close(opened)
        self._changed.clear()


class SystemDisks:
    """The disk under the dm-verity device of /usr, as sysfs tells it; `mount` is an empty folder of the caller's own.

    Partitions are found by where they begin: names and identities are what an update changes. The ESP should be
    mounted in a mount namespace of the agent's own (PrivateMounts=): then nobody else sees it, and it ends with us.
    """

    def __init__(
        self, runner: Runner, *, mount: Path, usr: str = "usr", sys: Path = Path("/sys"), dev: Path = Path("/dev")
    ) -> None:
        self._runner = runner
        self._mount = mount
        self._usr = usr
        self._block = sys / "class/block"
        self._dev = dev

    @contextmanager
    def disk(self) -> Iterator[BlockDevice]:
        with _opened(self._dev / self._name()) as device:
            yield device

    @contextmanager
    def partition(self, part: Slice, *, exclusive: bool = False) -> Iterator[BlockDevice]:
        with _opened(self._device(part), exclusive=exclusive) as device:
            yield device

    @contextmanager
    def esp(self, part: Slice) -> Iterator[Esp]:
        device = self._device(part)
        self._mount.mkdir(parents=True, exist_ok=True)
        if self._mount.is_mount():  # of an agent that was killed, where namespaces are shared
            self._runner.run(["umount", self._mount])
        self._runner.run(["mount", "-t", "vfat", "-o", MOUNT, device, self._mount])
        try:
            yield SystemEsp(self._mount, device)
        finally:
            self._runner.run(["umount", self._mount])

    def _name(self) -> str:
        """The name of the disk: the parent, in sysfs, of a partition that /usr is checked from."""
        for each in sorted(self._block.glob("dm-*")):
            if _line(each / "dm/name") == self._usr:
                below = sorted((each / "slaves").iterdir())
                disks = {(self._block / slave.name).resolve().parent.name for slave in below}
                if len(disks) == 1:
                    return disks.pop()
        raise MachineError(
            "The disk of /usr cannot be found.",
            details=f"No device-mapper device {self._usr!r} under {self._block} lies on one disk.",
            resolution="Only a node that runs from its own disk can be updated.",
        )

    def _device(self, part: Slice) -> Path:
        name = self._name()
        for each in sorted((self._block / name).resolve().glob(f"{name}*")):
            start, size = _line(each / "start"), _line(each / "size")
            if (start, size) == (str(part.start // SECTOR), str(part.size // SECTOR)):
                return self._dev / each.name
        raise MachineError(
            f"The kernel has no device for the partition {part.label}.",
            details=f"None of the partitions of {name} begins at {part.start} and has {part.size} bytes.",
            resolution="The partition table was changed since the machine started: restart it.",
        )


@contextmanager
def _opened(path: Path, *, exclusive: bool = False) -> Iterator[SystemDevice]:
    device = SystemDevice(path, exclusive=exclusive)
    try:
        yield device
    finally:
        device.close()


def _line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
