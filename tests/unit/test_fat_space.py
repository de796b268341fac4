"""Clusters that no name leads to, and what must not be taken for one."""

from __future__ import annotations

import struct

import pytest

from bedplate.model.reading import InMemory
from bedplate.testing.disks import FakeDevice, Medium
from bedplate.testing.fat import FatEsp, make_volume
from bedplate.wire.fat import BadVolume, Volume, read_volume
from bedplate.wire.fat_space import lost_clusters, writes_to_end, writes_to_free

FILES = {"EFI/Linux/a long name of a file+3.efi": b"x" * 2000, "EFI/BOOT/BOOTX64.EFI": b"y" * 900, "empty": b""}
VOLUME = make_volume(1 << 17, FILES)


def with_lost(count: int) -> bytes:
    medium = Medium(bytearray(VOLUME))
    fake = FatEsp(FakeDevice(medium, 0, len(VOLUME)))
    fake.lose(count)
    fake.unmount()
    return bytes(medium.data)


def changed(data: bytes, at: int, new: bytes) -> Volume:
    return read_volume(InMemory(data[:at] + new + data[at + len(new) :]))


def place(volume: Volume, cluster: int, *, copy: int = 0) -> int:
    return volume.fat_at + copy * volume.fat_bytes + 4 * cluster


def test_what_every_name_leads_to_is_not_lost() -> None:
    assert lost_clusters(read_volume(InMemory(VOLUME))) == ()


def test_what_is_lost_is_given_back_in_both_tables_and_nothing_else_changes() -> None:
    data = with_lost(150)
    volume = read_volume(InMemory(data))
    lost = lost_clusters(volume)
    assert len(lost) == 150
    after = bytearray(data)
    for each in writes_to_free(volume, lost):
        after[each.offset : each.offset + len(each.data)] = each.data
    again = read_volume(InMemory(bytes(after)))
    assert lost_clusters(again) == ()
    tables = [bytes(after[place(again, 0, copy=copy) : place(again, 0, copy=copy + 1)]) for copy in range(2)]
    assert tables[0] == tables[1] == VOLUME[place(volume, 0) : place(volume, 0, copy=1)]
    assert after[volume.info_at + 488 : volume.info_at + 496] == b"\xff" * 8
    assert after[volume.data_at :] == data[volume.data_at :]


def test_the_four_bits_that_mean_nothing_stay() -> None:
    data = with_lost(1)
    (lost,) = lost_clusters(read_volume(InMemory(data)))
    volume = changed(data, place(read_volume(InMemory(data)), lost), struct.pack("<I", 0xAFFFFFFF))
    write = writes_to_free(volume, lost_clusters(volume))[0]
    assert struct.unpack_from("<I", write.data, place(volume, lost) - write.offset) == (0xA0000000,)


def test_a_bad_cluster_is_not_lost() -> None:
    data = with_lost(1)
    (lost,) = lost_clusters(read_volume(InMemory(data)))
    assert lost_clusters(changed(data, place(read_volume(InMemory(data)), lost), struct.pack("<I", 0x0FFFFFF7))) == ()


def test_where_a_folder_cannot_be_followed_nothing_counts_as_lost() -> None:
    volume = read_volume(InMemory(with_lost(1)))
    (folder,) = [each for each in volume.folder("EFI") if each.name == "Linux"]
    with pytest.raises(BadVolume, match="leads nowhere"):
        lost_clusters(changed(with_lost(1), place(volume, folder.first), struct.pack("<I", 1)))


def test_the_beginning_of_a_file_whose_chain_is_broken_is_still_its_own() -> None:
    volume = read_volume(InMemory(VOLUME))
    (file,) = volume.folder("EFI/Linux")
    first, second, *rest = volume.chain(file.first)
    broken = changed(VOLUME, place(volume, second), struct.pack("<I", 1))
    assert lost_clusters(broken) == tuple(rest)
    assert first not in lost_clusters(broken)


def test_a_second_folder_of_the_same_name_keeps_its_files() -> None:
    volume = read_volume(InMemory(VOLUME))
    (row,) = [each.row for each in volume.folder("EFI") if each.name == "BOOT"]
    twice = changed(VOLUME, row, b"LINUX      ")
    assert lost_clusters(twice) == ()


def with_long_names(*, torn: bool) -> bytes:
    """A volume whose last change is long names over several sectors; when torn, the first of these was lost."""
    medium = Medium(bytearray(VOLUME))
    fake = FatEsp(FakeDevice(medium, 0, len(VOLUME)))
    for number in range(4):
        fake.create(f"EFI/Linux/{number} {'a very long name ' * 8}")
    data_at = read_volume(InMemory(VOLUME)).data_at
    first = next(at for at in range(data_at, len(VOLUME), 512) if medium.data[at : at + 512] != VOLUME[at : at + 512])
    if torn:
        medium.data[first : first + 512] = VOLUME[first : first + 512]
    return bytes(medium.data)


def test_a_folder_that_was_not_torn_has_nothing_behind_its_end() -> None:
    assert writes_to_end(read_volume(InMemory(VOLUME)), "EFI/Linux") == ()
    assert writes_to_end(read_volume(InMemory(with_long_names(torn=False))), "EFI/Linux") == ()


def test_names_behind_the_end_of_a_folder_are_emptied_and_nothing_else_changes() -> None:
    data = bytearray(with_long_names(torn=True))
    before = read_volume(InMemory(bytes(data))).folder("EFI/Linux")
    writes = writes_to_end(read_volume(InMemory(bytes(data))), "EFI/Linux")
    assert writes
    for each in writes:
        data[each.offset : each.offset + len(each.data)] = each.data
    after = read_volume(InMemory(bytes(data)))
    assert after.folder("EFI/Linux") == before
    assert writes_to_end(after, "EFI/Linux") == ()


def test_a_folder_that_is_not_there_has_no_end() -> None:
    assert writes_to_end(read_volume(InMemory(VOLUME)), "EFI/none") == ()
