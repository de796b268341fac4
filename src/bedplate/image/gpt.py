"""The partition table of a disk image: GUID Partition Table (UEFI specification 2.10, chapter 5)."""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass

SECTOR = 512
HEAD_BYTES = 1 << 15
"""Header and entries lie within the first bytes of a disk, after one sector for old firmware."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One partition: `start` and `size` in bytes."""

    label: str
    identity: uuid.UUID
    start: int
    size: int


def read_table(head: bytes) -> tuple[Slice, ...]:
    """The partitions in the order of the table; `head` is the beginning of the disk. ValueError when there is none."""
    if head[SECTOR : SECTOR + 8] != b"EFI PART":
        raise ValueError("no GUID partition table")
    where, count, size = struct.unpack_from("<QII", head, SECTOR + 72)
    entries = (head[where * SECTOR + size * n :][:size] for n in range(count))
    return tuple(_slice(entry) for entry in entries if any(entry[:16]))


def _slice(entry: bytes) -> Slice:
    first, last = struct.unpack_from("<QQ", entry, 32)
    label = entry[56:128].decode("utf-16-le").rstrip("\0")
    return Slice(label, uuid.UUID(bytes_le=entry[16:32]), first * SECTOR, (last - first + 1) * SECTOR)
