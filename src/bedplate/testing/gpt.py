"""Partition tables from nothing."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Sequence

from bedplate.wire.gpt import SECTOR, Header, Slice, Table

ENTRIES, ENTRY_BYTES = 128, 128
DISK = uuid.UUID(int=7)
KIND = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
"""Linux data; nobody here looks at it."""


def make_table(slices: Sequence[Slice]) -> Table:
    """A table of these partitions; `wire.gpt.writes` puts it on a disk."""
    entries = b"".join(
        struct.pack(
            "<16s16sQQQ72s",
            KIND.bytes_le,
            each.identity.bytes_le,
            each.start // SECTOR,
            (each.start + each.size) // SECTOR - 1,
            0,
            each.label.encode("utf-16-le"),
        )
        for each in slices
    )
    header = Header(1, 0, 34, (1 << 63) - 1, DISK.bytes_le, 2, ENTRIES, ENTRY_BYTES)
    return Table(header, entries.ljust(ENTRIES * ENTRY_BYTES, b"\0"))
