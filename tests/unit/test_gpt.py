"""The partition table: what is read, what is refused, and what a change writes."""

from __future__ import annotations

import uuid

import pytest

from bedplate.model.reading import InMemory
from bedplate.testing.gpt import make_table
from bedplate.wire.gpt import BadTable, Slice, Table, Write, read_copy, read_disk, read_table, with_identities, writes

MIB = 1 << 20
OLD, NEW = uuid.UUID(int=5), uuid.UUID(int=6)
SLICES = (Slice("esp", uuid.UUID(int=1), MIB, MIB), Slice("usr-a", OLD, 2 * MIB, MIB))
SIZE = 4 * MIB


def disk_of(*slices: Slice, size: int = SIZE) -> bytes:
    return apply(bytes(size), *(write for half in writes(make_table(slices), size) for write in half))


def apply(disk: bytes, *changes: Write) -> bytes:
    data = bytearray(disk)
    for each in changes:
        data[each.offset : each.offset + len(each.data)] = each.data
    return bytes(data)


def changed() -> tuple[tuple[Write, ...], tuple[Write, ...]]:
    return writes(with_identities(read_disk(InMemory(disk_of(*SLICES))), {"usr-a": NEW}), SIZE)


def identity(table: Table) -> uuid.UUID:
    return next(each.identity for each in table.slices if each.label == "usr-a")


def test_partitions_have_places_in_bytes() -> None:
    assert read_table(disk_of(*SLICES)[: 1 << 15]) == SLICES


def test_the_backup_says_the_same() -> None:
    assert read_copy(InMemory(disk_of(*SLICES)), SIZE // 512 - 1).slices == SLICES


def test_a_disk_without_a_table_is_refused() -> None:
    with pytest.raises(BadTable, match="no GUID partition table"):
        read_table(bytes(1 << 15))


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        (512 + 8, "the header's checksum is wrong"),
        (512 + 40, "the header's checksum is wrong"),
        (1024 + 20, "the checksum of the entries is wrong"),
        (1024 + 16383, "the checksum of the entries is wrong"),
    ],
)
def test_a_flipped_bit_makes_a_copy_invalid_and_the_other_is_taken(place: int, problem: str) -> None:
    disk = disk_of(*SLICES)
    spoilt = InMemory(apply(disk, Write(place, bytes([disk[place] ^ 1]))))
    with pytest.raises(BadTable, match=problem):
        read_copy(spoilt, 1)
    assert read_disk(spoilt).slices == SLICES


def test_a_header_of_another_place_is_refused() -> None:
    disk = disk_of(*SLICES)
    moved = apply(disk, Write(1024, disk[512:1024]))
    with pytest.raises(BadTable, match="another place"):
        read_copy(InMemory(moved), 2)


def test_both_copies_bad_tells_of_both() -> None:
    with pytest.raises(BadTable, match="primary: no GUID partition table; backup: no GUID partition table"):
        read_disk(InMemory(bytes(SIZE)))


def test_a_change_touches_nothing_but_the_identity() -> None:
    backup, primary = changed()
    after = read_disk(InMemory(apply(disk_of(*SLICES), *backup, *primary)))
    assert after.slices == (SLICES[0], Slice("usr-a", NEW, 2 * MIB, MIB))


def test_a_change_of_nothing_writes_what_is_there() -> None:
    disk = disk_of(*SLICES)
    backup, primary = writes(read_disk(InMemory(disk)), SIZE)
    assert apply(disk, *backup, *primary) == disk


def test_the_backup_is_written_while_the_primary_stays() -> None:
    backup, _ = changed()
    for write in backup:
        assert write.offset >= SIZE - 33 * 512
    assert identity(read_disk(InMemory(apply(disk_of(*SLICES), *backup)))) == OLD


def test_the_table_can_be_read_after_every_torn_write() -> None:
    """Every prefix in sectors of each half, forwards and backwards."""
    backup, primary = changed()
    disk = disk_of(*SLICES)
    for before, half, allowed in ((disk, backup, {OLD}), (apply(disk, *backup), primary, {OLD, NEW})):
        sectors = [
            Write(each.offset + at, each.data[at : at + 512]) for each in half for at in range(0, len(each.data), 512)
        ]
        for order in (sectors, sectors[::-1]):
            for count in range(len(order) + 1):
                assert identity(read_disk(InMemory(apply(before, *order[:count])))) in allowed


def test_the_backup_moves_to_the_end_of_a_disk_that_grew() -> None:
    grown = disk_of(*SLICES) + bytes(MIB)
    backup, primary = writes(read_disk(InMemory(grown)), len(grown))
    after = InMemory(apply(grown, *backup, *primary))
    assert read_copy(after, len(grown) // 512 - 1).slices == read_copy(after, 1).slices == SLICES


def test_a_partition_at_the_end_is_not_written_over() -> None:
    table = make_table([Slice("last", OLD, MIB, 3 * MIB)])
    with pytest.raises(ValueError, match="a partition lies where the backup"):
        writes(table, SIZE)


def test_an_unknown_label_is_an_error() -> None:
    with pytest.raises(KeyError, match="usr-c"):
        with_identities(make_table(SLICES), {"usr-c": NEW})
