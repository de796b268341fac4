"""The same cuts on what a real kernel wrote.

Each file in golden/slots is a disk of `make_disk`, and after it QEMU's record (blklogwrites, the format of
dm-log-writes) of what Linux 6.12 with vfat sent to it while `Slots` took the steps from version 2 to version 3. The
disk had a write cache, so a flush is what the kernel asked for. Names say the size of the ESP's own sectors.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.testing.disks import Event, Flushed, Written, after, cuts, epochs
from bedplate.testing.slots import DISK_BYTES, boot, make_version

RECORDS = sorted((Path(__file__).parents[2] / "golden/slots").glob("*.xz"))
SECTOR = 512
FLUSH, DISCARD = 1, 4
NOW, NEXT = make_version(2), make_version(3)


def events(log: bytes) -> Iterator[Event]:
    """The entries of a log: sector, number of sectors, flags, and then the sectors (drivers/md/dm-log-writes.c)."""
    (count,) = struct.unpack_from("<Q", log, 16)
    at = SECTOR
    for _ in range(count):
        first, sectors, flags = struct.unpack_from("<QQQ", log, at)
        at += SECTOR
        assert not flags & DISCARD
        for sector in range(first, first + sectors):
            yield Written(sector * SECTOR, log[at : at + SECTOR])
            at += SECTOR
        if flags & FLUSH:
            yield Flushed()


def test_there_are_records() -> None:
    assert [each.name for each in RECORDS] == ["linux-6.12-sectors-of-4096.xz", "linux-6.12-sectors-of-512.xz"]


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_every_cut_leaves_a_version_that_boots(record: Path) -> None:
    content = lzma.decompress(record.read_bytes())
    start, log = content[:DISK_BYTES], list(events(content[DISK_BYTES:]))
    versions, found = (NOW, NEXT), set()
    count = 0
    for state in cuts(start, log):
        booted = boot(state, versions)
        assert booted.problem == ""
        found.add(booted.version)
        count += 1
    assert found == {NOW.name, NEXT.name}
    assert count > 1000
    end = after(start, [each for stretch in epochs(log) for each in stretch])
    assert boot(end, versions).version == NEXT.name
