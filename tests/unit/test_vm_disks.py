"""Finding and spoiling parts of a disk."""

import struct
import uuid
from pathlib import Path

import pytest

from bedplate.image.tools import Tools
from bedplate.testing.runner import FakeRunner
from bedplate.testing.vm.disks import AlteredImage, Extent, read_partitions


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A GPT with one partition of 4 KiB at 1 MiB, called usr-a."""
    entry = struct.pack("<16s16sQQQ72s", uuid.uuid4().bytes_le, b"", 2048, 2055, 0, "usr-a".encode("utf-16-le"))
    header = b"EFI PART".ljust(72, b"\0") + struct.pack("<QII", 2, 4, 128)
    content = header.rjust(512 + len(header), b"\0").ljust(1024, b"\0") + entry
    path = tmp_path / "disk.raw"
    path.write_bytes(content.ljust(2048 * 512, b"\0") + b"something to flip".rjust(4096, b"."))
    return path


def test_partitions_are_found_by_their_label(disk: Path) -> None:
    assert read_partitions(disk) == {"usr-a": Extent(1024**2, 4096)}


def test_what_has_no_partition_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "disk.raw").write_bytes(bytes(4096))
    with pytest.raises(ValueError, match="no partition table"):
        read_partitions(tmp_path / "disk.raw")


def test_one_bit_changes(disk: Path) -> None:
    before = disk.read_bytes()
    AlteredImage(disk.parent, Tools(disk.parent, FakeRunner())).flip("usr-a", b"to flip")
    changed = [(old, new) for old, new in zip(before, disk.read_bytes(), strict=True) if old != new]
    assert changed == [(ord("t"), ord("u"))]


def test_what_is_not_there_cannot_be_flipped(disk: Path) -> None:
    with pytest.raises(ValueError, match="not found"):
        AlteredImage(disk.parent, Tools(disk.parent, FakeRunner())).flip("usr-a", b"absent")
