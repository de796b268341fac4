"""What lies where in an uncompressed erofs image (Linux, fs/erofs/erofs_fs.h and Documentation/filesystems/erofs.rst).

Only what `mkfs.erofs` writes of files that are not compressed is read: flat inodes, plain or with their last bytes
inline behind the inode. Whatever else an image may have is a ValueError.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

SUPER_OFFSET, SUPER_BYTES = 1024, 128
MAGIC = 0xE0F5E1E2
SLOT_BYTES = 32
DIRENT_BYTES = 12
PLAIN, INLINE = 0, 2


@dataclass(frozen=True, slots=True)
class Extent:
    """`size` bytes at `offset` of the image."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class File:
    """A regular file: its path without a leading slash, and its content as `blocks` and then `tail`, either empty."""

    path: str
    blocks: Extent
    tail: Extent


@dataclass(frozen=True, slots=True)
class _Inode:
    mode: int
    blocks: Extent
    tail: Extent


@dataclass(frozen=True, slots=True)
class _Super:
    block: int
    metadata: int
    root: int


def read_files(image: memoryview) -> tuple[File, ...]:
    """The regular files of the image in the order of their paths; hard links are each a file."""
    try:
        head = _read_super(image)
        found = _walk(image, head, head.root, "", above=())
        return tuple(sorted(found, key=lambda file: file.path))
    except (struct.error, IndexError, UnicodeDecodeError) as problem:
        raise ValueError(f"a damaged erofs image: {problem}") from problem


def _read_super(image: memoryview) -> _Super:
    """The superblock: magic at 0, log2 of the block size at 12, the root's number at 14, the metadata's block at 40."""
    if len(image) < SUPER_OFFSET + SUPER_BYTES or struct.unpack_from("<I", image, SUPER_OFFSET)[0] != MAGIC:
        raise ValueError("no erofs image")
    bits, _, root = struct.unpack_from("<BBH", image, SUPER_OFFSET + 12)
    (metadata,) = struct.unpack_from("<I", image, SUPER_OFFSET + 40)
    (features,) = struct.unpack_from("<I", image, SUPER_OFFSET + 80)
    if features or not 9 <= bits <= 16:
        raise ValueError(f"an erofs image with features {features:#x} and blocks of 2^{bits}")
    return _Super(block=1 << bits, metadata=metadata << bits, root=root)


def _read_inode(image: memoryview, head: _Super, number: int) -> _Inode:
    """An inode of 32 or 64 bytes: layout, xattrs, mode; the size at 8 and the first block at 16."""
    offset = head.metadata + number * SLOT_BYTES
    layout, attributes, mode = struct.unpack_from("<HHH", image, offset)
    size = struct.unpack_from("<Q" if layout & 1 else "<I", image, offset + 8)[0]
    (first,) = struct.unpack_from("<I", image, offset + 16)
    behind = offset + (64 if layout & 1 else 32) + (12 + 4 * (attributes - 1) if attributes else 0)
    kind = layout >> 1 & 7
    if kind not in {PLAIN, INLINE} and stat.S_IFMT(mode) in {stat.S_IFREG, stat.S_IFDIR}:
        raise ValueError(f"an inode of layout {kind}")
    inline = size % head.block if kind == INLINE else 0
    inode = _Inode(mode, Extent(first * head.block if size > inline else 0, size - inline), Extent(behind, inline))
    if stat.S_IFMT(mode) in {stat.S_IFREG, stat.S_IFDIR} and max(inode.blocks.end, inode.tail.end) > len(image):
        raise ValueError("an inode beyond the end")
    return inode


def _walk(image: memoryview, head: _Super, number: int, path: str, *, above: tuple[int, ...]) -> Iterator[File]:
    inode = _read_inode(image, head, number)
    if stat.S_ISREG(inode.mode):
        yield File(path, inode.blocks, inode.tail)
    elif stat.S_ISDIR(inode.mode):
        if number in above:
            raise ValueError("a folder within itself")
        for name, child in _entries(image, head, inode):
            if name not in {".", ".."}:
                below = f"{path}/{name}" if path else name
                yield from _walk(image, head, child, below, above=(*above, number))


def _entries(image: memoryview, head: _Super, folder: _Inode) -> Iterator[tuple[str, int]]:
    """Names and inode numbers: each block has its entries of 12 bytes first, then the names, the last padded."""
    data = bytes(image[folder.blocks.offset : folder.blocks.end]) + bytes(image[folder.tail.offset : folder.tail.end])
    for start in range(0, len(data), head.block):
        block = data[start : start + head.block]
        count = struct.unpack_from("<H", block, 8)[0] // DIRENT_BYTES
        entries = [struct.unpack_from("<QH", block, index * DIRENT_BYTES) for index in range(count)]
        ends = [offset for _, offset in entries[1:]] + [len(block)]
        for (number, offset), end in zip(entries, ends, strict=True):
            yield block[offset:end].rstrip(b"\0").decode(), number
