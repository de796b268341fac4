"""Block devices, byte by byte: what is written is flushed, what is read comes from the device."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bedplate.host.files import FULL
from bedplate.model.errors import MachineError

ALIGNED = 4096
"""What O_DIRECT wants of places, sizes and memory: no device here has larger blocks."""
BUFFER = 4 << 20
_BLKGETSIZE64 = 0x80081272


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
        with told(path, "opened"), ExitStack() as opened:
            self._fd = os.open(path, flags)
            opened.callback(os.close, self._fd)
            self._direct = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT)
            opened.callback(os.close, self._direct)
            self._size = _size_of(self._fd)
            self._buffer = opened.enter_context(mmap.mmap(-1, BUFFER))
            self._opened = opened.pop_all()

    @property
    def size(self) -> int:
        return self._size

    def read_at(self, offset: int, size: int) -> bytes:
        with told(self.path, f"read at {offset}"):
            return _read_direct(self._direct, self._buffer, offset, min(size, max(self._size - offset, 0)))

    def write_at(self, offset: int, data: bytes) -> None:
        if offset + len(data) > self._size:
            raise MachineError(f"{self.path} ends at {self._size}, and {offset + len(data)} was to be written.")
        with told(self.path, f"written at {offset}"):
            write_all(self._fd, offset, data)

    def flush(self) -> None:
        with told(self.path, "flushed"):
            os.fsync(self._fd)

    def close(self) -> None:
        self._opened.close()


@contextmanager
def told(path: Path, what: str) -> Iterator[None]:
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
    found = os.fstat(opened)
    if stat.S_ISREG(found.st_mode):
        return found.st_size
    return int(struct.unpack("Q", fcntl.ioctl(opened, _BLKGETSIZE64, bytes(8)))[0])


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


def read_all(opened: int, offset: int, size: int) -> bytes:
    parts, left = [], size
    while left and (part := os.pread(opened, left, offset + size - left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def write_all(opened: int, offset: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(opened, view, offset)
        view, offset = view[done:], offset + done
