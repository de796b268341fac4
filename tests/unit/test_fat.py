"""FAT32 as it is read: names that were cut off, clusters that lead nowhere, and volumes that are none."""

from __future__ import annotations

import struct

import pytest

from bedplate.model.reading import InMemory
from bedplate.testing.fat import make_volume
from bedplate.wire.fat import BadVolume, Name, Volume, read_volume

NAME = "Bedplate-1.37-amd64-202611.24.0+3.efi"
PATH = f"EFI/Linux/{NAME}"
VOLUME = make_volume(1 << 17, {PATH: b"x" * 2000})


def changed(at: int, data: bytes) -> Volume:
    return read_volume(InMemory(VOLUME[:at] + data + VOLUME[at + len(data) :]))


def only(volume: Volume) -> Name:
    (name,) = volume.folder("EFI/Linux")
    return name


def test_a_path_is_followed_in_any_case() -> None:
    assert read_volume(InMemory(VOLUME)).folder("efi/LINUX") == (only(read_volume(InMemory(VOLUME))),)


def test_a_folder_that_is_not_there_is_empty() -> None:
    assert read_volume(InMemory(VOLUME)).folder("EFI/none") == ()


@pytest.mark.parametrize("part", [1, 2, 3])
def test_without_one_row_of_its_long_name_a_file_has_the_short_one(part: int) -> None:
    row = only(read_volume(InMemory(VOLUME))).row - 32 * part
    assert only(changed(row, b"\xe5")).name == "F0000002.EFI"


def test_a_long_name_of_another_file_is_not_taken() -> None:
    row = only(read_volume(InMemory(VOLUME))).row
    assert only(changed(row, b"OTHER   ")).name == "OTHER.EFI"


def test_a_name_that_was_taken_away_is_gone_and_its_clusters_are_not() -> None:
    volume = read_volume(InMemory(VOLUME))
    name = only(volume)
    write = volume.without(name)
    assert len(write.data) == 512
    after = changed(write.offset, write.data)
    assert after.folder("EFI/Linux") == ()
    assert after.chain(name.first) == volume.chain(name.first)


@pytest.mark.parametrize("value", [0, 1, 0x0FFFFFF0], ids=["free", "reserved", "beyond"])
def test_a_chain_that_leads_nowhere_is_told_and_its_beginning_can_be_read(value: int) -> None:
    volume = read_volume(InMemory(VOLUME))
    name = only(volume)
    cut = changed(volume.fat_at + 4 * name.first, struct.pack("<I", value))
    with pytest.raises(BadVolume, match="leads nowhere"):
        cut.file(name)
    assert cut.beginning(name).read_at(0, 2000) == b"x" * volume.cluster_bytes


def test_a_chain_that_goes_in_a_circle_ends() -> None:
    volume = read_volume(InMemory(VOLUME))
    name = only(volume)
    circle = changed(volume.fat_at + 4 * name.first, struct.pack("<I", name.first))
    with pytest.raises(BadVolume, match=rf"longer than {volume.clusters}$"):
        circle.chain(name.first)
    with pytest.raises(BadVolume, match=r"longer than 4$"):
        circle.file(name)


class Vast:
    """A volume of 64 GB whose whole table is one chain: cluster after cluster of names that are gone."""

    size = 64 << 30
    clusters = (32 << 30) // 512
    fat_at = 32 * 512

    def __init__(self) -> None:
        fat = -(-4 * (self.clusters + 2) // 512)
        boot = bytearray(512)
        struct.pack_into("<HBHB", boot, 11, 512, 1, 32, 1)
        struct.pack_into("<IIHHIH", boot, 32, 32 + fat + self.clusters, fat, 0, 0, 2, 0)
        boot[510:] = b"\x55\xaa"
        self.boot, self.data_at, self.read = bytes(boot), self.fat_at + 512 * fat, 0

    def read_at(self, offset: int, size: int) -> bytes:
        self.read += size
        if offset == 0:
            return self.boot[:size]
        if offset < self.data_at:
            first = (offset - self.fat_at) // 4
            return struct.pack(f"<{size // 4}I", *range(first + 1, first + size // 4 + 1))
        return b"\xe5" * size


def test_a_folder_without_an_end_is_read_no_further_than_one_may_be() -> None:
    device = Vast()
    with pytest.raises(BadVolume, match="from cluster 2 is longer than 4096"):
        read_volume(device).folder("")
    assert device.read < 1 << 20


def test_a_chain_is_followed_no_further_than_its_file_goes_and_few_pages_of_the_table_are_kept() -> None:
    volume = read_volume(Vast())
    with pytest.raises(BadVolume, match="from cluster 2 is longer than 327680"):
        volume.file(Name("half", 2, 160 << 20, folder=False, row=0))
    assert len(volume._pages) <= 256


def test_a_size_that_is_not_that_of_the_chain_is_told() -> None:
    row = only(read_volume(InMemory(VOLUME))).row
    volume = changed(row + 28, struct.pack("<I", 9000))
    with pytest.raises(BadVolume, match="4 clusters for 9000 bytes"):
        volume.file(only(volume))


@pytest.mark.parametrize(
    ("at", "data", "problem"),
    [
        (510, b"\0\0", "no boot sector"),
        (11, struct.pack("<H", 513), "not FAT32"),
        (22, struct.pack("<H", 9), "not FAT32"),
        (13, b"\0", "not FAT32"),
        (32, struct.pack("<I", 1 << 20), "size is not that"),
        (32, struct.pack("<I", 3), "size is not that"),
    ],
)
def test_what_is_no_volume_is_refused(at: int, data: bytes, problem: str) -> None:
    with pytest.raises(BadVolume, match=problem):
        changed(at, data)
