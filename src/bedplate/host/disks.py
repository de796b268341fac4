"""The door to block devices: the disk this machine runs from, its partitions, and the files of its ESP."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bedplate.host.files import FULL
from bedplate.host.run import Runner
from bedplate.model.errors import MachineError
from bedplate.wire.gpt import SECTOR, Slice

ALIGNED = 4096
"""What O_DIRECT wants of places, sizes and memory: no device here has larger blocks."""
BUFFER = 4 << 20
MOUNT = "nodev,nosuid,noexec,umask=0077,tz=UTC,errors=remount-ro"
_BLKGETSIZE64 = 0x80081272


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


class SystemDevice:
    """A block device of this machine, or a regular file in its place.

    Writing goes through the page cache and `fsync`, which waits for the device's own cache too (fsync(2)) and is where
    the kernel tells of writes that failed. Reading goes past the page cache (O_DIRECT): the kernel first writes out
    what it still holds of that place, so what comes back is what the device has. To drop the pages instead
    (posix_fadvise(2), POSIX_FADV_DONTNEED) is advice only: pages in use stay, and would be read back as if written.
    """

    def __init__(self, path: Path, *, exclusive: bool = False) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_EXCL if exclusive else 0)
        with _told(path, "opened"):
            self._fd = os.open(path, flags)
            self._direct = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT)
            self._size = _size_of(self._fd)
        self._buffer = mmap.mmap(-1, BUFFER)

    @property
    def size(self) -> int:
        return self._size

    def read_at(self, offset: int, size: int) -> bytes:
        with _told(self.path, f"read at {offset}"):
            return _read_direct(self._direct, self._buffer, offset, min(size, max(self._size - offset, 0)))

    def write_at(self, offset: int, data: bytes) -> None:
        if offset + len(data) > self._size:
            raise MachineError(f"{self.path} ends at {self._size}, and {offset + len(data)} was to be written.")
        with _told(self.path, f"written at {offset}"):
            _write_all(self._fd, offset, data)

    def flush(self) -> None:
        with _told(self.path, "flushed"):
            os.fsync(self._fd)

    def close(self) -> None:
        os.close(self._fd)
        os.close(self._direct)
        self._buffer.close()


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
        with _told(self.folder / folder, "listed"):
            try:
                names = sorted(each for each in (self.folder / folder).iterdir() if each.is_file())
            except FileNotFoundError:
                return ()
            return tuple(EspFile(each.name, each.stat().st_size) for each in names)

    def read_at(self, path: str, offset: int, size: int) -> bytes:
        """FAT knows O_DIRECT only for what is aligned and within the file, so the pages are written out and dropped."""
        with _told(self.folder / path, f"read at {offset}"):
            opened = os.open(self.folder / path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(opened)
                os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
                return _read_all(opened, offset, size)
            finally:
                os.close(opened)

    def create(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with _told(self.folder / path, "created"):
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.folder / path, flags, 0o600))
        self._changed |= {self.folder / path, (self.folder / path).parent}

    def write_at(self, path: str, offset: int, data: bytes) -> None:
        with _told(self.folder / path, f"written at {offset}"):
            opened = os.open(self.folder / path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                _write_all(opened, offset, data)
            finally:
                os.close(opened)
        self._changed.add(self.folder / path)

    def remove(self, path: str) -> None:
        with _told(self.folder / path, "removed"):
            (self.folder / path).unlink()
        self._changed.discard(self.folder / path)
        self._changed.add((self.folder / path).parent)

    def sync(self) -> None:
        for path in (*sorted(self._changed), self.device):
            with _told(path, "flushed"):
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


@contextmanager
def _told(path: Path, what: str) -> Iterator[None]:
    """A block in which the system's own errors become ours."""
    try:
        yield
    except OSError as problem:
        advice = {
            errno.EBUSY: "It is in use, so it is not touched.",
            errno.EIO: "The disk is failing, or was taken away: see the kernel's messages.",
            errno.EROFS: "The kernel found the file system damaged, or it is write-protected.",
        }
        advice |= dict.fromkeys(FULL, "Nothing is half done: what runs now stays what boots.")
        raise MachineError(
            f"{path} cannot be {what}.", details=str(problem), resolution=advice.get(problem.errno or 0, "")
        ) from problem


def _size_of(opened: int) -> int:
    """Bytes, of a block device (ioctl BLKGETSIZE64) or a regular file."""
    size = os.fstat(opened).st_size
    if size:
        return size
    try:
        return int(struct.unpack("Q", fcntl.ioctl(opened, _BLKGETSIZE64, bytes(8)))[0])
    except OSError:  # an empty regular file
        return 0


def _read_direct(opened: int, buffer: mmap.mmap, offset: int, size: int) -> bytes:
    parts, at, end = [], offset, offset + size
    while at < end:
        start = at - at % ALIGNED
        wanted = min(BUFFER, -(-(end - start) // ALIGNED) * ALIGNED)
        view = memoryview(buffer)[:wanted]
        got = os.preadv(opened, [view], start)
        view.release()
        if got <= at - start:
            break
        parts.append(buffer[at - start : min(got, end - start)])
        at += len(parts[-1])
    return b"".join(parts)


def _read_all(opened: int, offset: int, size: int) -> bytes:
    parts, left = [], size
    while left and (part := os.pread(opened, left, offset + size - left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _write_all(opened: int, offset: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(opened, view, offset)
        view, offset = view[done:], offset + done


def _line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
