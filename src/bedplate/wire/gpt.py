"""The partition table of a disk: GUID Partition Table (UEFI specification 2.10, chapter 5).

A disk has the table twice: header in sector 1 with entries after it, and a backup whose header is in the last sector
with its entries before it. A copy is valid when the CRC32 of header and entries fit and the header is where it says
(5.3.2). What is made here changes one copy at a time, the backup first, so that a power cut leaves one of them valid.

Who reads which copy, as of their sources:

| reader | primary is bad | backup is bad |
|---|---|---|
| Linux `block/partitions/efi.c` | none; with `gpt` on the command line the backup in the last sector | primary |
| libblkid 2.41 (udev), `libblkid/src/partitions/gpt.c` | the backup in the last sector | primary |
| EDK2 `PartitionDxe/Gpt.c` | the backup in the last sector, and writes the primary anew | writes it anew |
| libfdisk (systemd-repart) | the backup, and writes both when it changes anything | primary; same |

All take the primary where both are valid and differ. So the kernel needs `gpt`, and the backup has to be at the end.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bedplate.model.reading import InMemory, ReadAt

SECTOR = 512
HEAD_BYTES = 1 << 15
"""Header and entries lie within the first bytes of a disk, after one sector for old firmware."""
SIGNATURE = b"EFI PART"
_HEADER = struct.Struct("<8s4sIIIQQQQ16sQIII")
_MOST_ENTRY_BYTES = 1 << 20
_IDENTITY = slice(16, 32)


@dataclass(frozen=True, slots=True)
class Slice:
    """One partition: `start` and `size` in bytes."""

    label: str
    identity: uuid.UUID
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes that belong at a place, in bytes; whole sectors."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of one header that are not the same for every table; places are sectors, as on the disk."""

    own: int
    other: int
    first_usable: int
    last_usable: int
    disk: bytes
    entries: int
    count: int
    entry_size: int

    @property
    def entry_bytes(self) -> int:
        return self.count * self.entry_size


@dataclass(frozen=True, slots=True)
class Table:
    """One valid copy of the table."""

    header: Header
    entries: bytes

    @property
    def slices(self) -> tuple[Slice, ...]:
        """The partitions, in the order of the table."""
        size = self.header.entry_size
        each = (self.entries[at : at + size] for at in range(0, self.header.entry_bytes, size))
        return tuple(_slice(entry) for entry in each if any(entry[:16]))


class BadTable(ValueError):
    """A copy of the table that is not valid, in a few words."""


def read_table(head: bytes) -> tuple[Slice, ...]:
    """The partitions in the order of the table; `head` is the beginning of the disk. ValueError when there is none."""
    return read_copy(InMemory(head), 1).slices


def read_disk(disk: ReadAt) -> Table:
    """The table that every reader goes by: the primary, or the backup when that is not valid. `BadTable` for none."""
    try:
        return read_copy(disk, 1)
    except BadTable as primary:
        try:
            return read_copy(disk, _last_sector(disk))
        except BadTable as backup:
            raise BadTable(f"primary: {primary}; backup: {backup}") from backup


def read_copy(disk: ReadAt, sector: int) -> Table:
    """The copy whose header is in that sector. `BadTable` when it is not valid (UEFI 2.10, 5.3.2)."""
    raw = disk.read_at(sector * SECTOR, SECTOR)
    if len(raw) < SECTOR or raw[:8] != SIGNATURE:
        raise BadTable("no GUID partition table")
    _, _, size, crc, _, own, other, first, last, disk_id, entries, count, entry_size, entries_crc = _HEADER.unpack_from(
        raw
    )
    if not _HEADER.size <= size <= SECTOR or zlib.crc32(raw[:16] + bytes(4) + raw[20:size]) != crc:
        raise BadTable("the header's checksum is wrong")
    if own != sector:
        raise BadTable("the header is of another place")
    header = Header(own, other, first, last, disk_id, entries, count, entry_size)
    if entry_size < 128 or not 0 < header.entry_bytes <= _MOST_ENTRY_BYTES:
        raise BadTable("the size of the entries makes no sense")
    body = disk.read_at(entries * SECTOR, header.entry_bytes)
    if len(body) < header.entry_bytes or zlib.crc32(body) != entries_crc:
        raise BadTable("the checksum of the entries is wrong")
    return Table(header, body)


def with_identities(table: Table, identities: Mapping[str, uuid.UUID]) -> Table:
    """The table with other partition UUIDs, by label. KeyError for a label that it has not exactly once."""
    entries, size = bytearray(table.entries), table.header.entry_size
    left = dict(identities)
    for at in range(0, len(entries), size):
        label = _slice(bytes(entries[at : at + size])).label
        if any(entries[at : at + 16]) and label in identities:
            entries[at + _IDENTITY.start : at + _IDENTITY.stop] = left.pop(label).bytes_le
    if left:
        raise KeyError(*left)
    return replace(table, entries=bytes(entries))


def writes(table: Table, disk_size: int) -> tuple[tuple[Write, ...], tuple[Write, ...]]:
    """What makes the disk carry this table: first the backup, then, after a flush, the primary.

    Within a copy the order does not matter: until all of it is written, its checksums do not fit. The backup goes to
    the disk's end, where readers look for it, even if the disk was smaller when its table was made. ValueError when
    a partition is in its place.
    """
    header = table.header
    last, room = disk_size // SECTOR - 1, -(-header.entry_bytes // SECTOR)
    end = max((each.start + each.size for each in table.slices), default=0)
    if end > (last - room) * SECTOR:
        raise ValueError("a partition lies where the backup of the table belongs")
    primary = header.entries if header.own == 1 else 2
    usable = min(header.last_usable, last - room - 1)
    copies = (
        replace(header, own=last, other=1, entries=last - room, last_usable=usable),
        replace(header, own=1, other=last, entries=primary, last_usable=usable),
    )
    backup, front = (
        (Write(each.entries * SECTOR, _padded(table.entries)), Write(each.own * SECTOR, _packed(each, table.entries)))
        for each in copies
    )
    return backup, front


def _packed(header: Header, entries: bytes) -> bytes:
    def pack(crc: int) -> bytes:
        places = (header.own, header.other, header.first_usable, header.last_usable, header.disk, header.entries)
        tail = (header.count, header.entry_size, zlib.crc32(entries))
        return _HEADER.pack(SIGNATURE, bytes((0, 0, 1, 0)), _HEADER.size, crc, 0, *places, *tail)

    return _padded(pack(zlib.crc32(pack(0))))


def _padded(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // SECTOR) * SECTOR, b"\0")


def _last_sector(disk: ReadAt) -> int:
    return disk.size // SECTOR - 1


def _slice(entry: bytes) -> Slice:
    first, last = struct.unpack_from("<QQ", entry, 32)
    label = entry[56:128].decode("utf-16-le", "replace").rstrip("\0")
    return Slice(label, uuid.UUID(bytes_le=entry[_IDENTITY]), first * SECTOR, (last - first + 1) * SECTOR)
