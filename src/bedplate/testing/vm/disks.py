"""Altered copies of an image's disk: what somebody with the disk in their hands, but not our keys, could do."""

from __future__ import annotations

import shutil
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bedplate.image.tools import Tools

SECTOR = 512
DISK, CERTIFICATE = "disk.raw", "db.crt"


@dataclass(frozen=True, slots=True)
class Extent:
    """A part of a disk, in bytes."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class AlteredImage:
    """A copy of an image in `folder` that a machine can be made from, to be altered before that."""

    folder: Path
    tools: Tools

    @property
    def disk(self) -> Path:
        return self.folder / DISK

    def flip(self, partition: str, needle: bytes) -> None:
        """Flip one bit of the first place in `partition` where `needle` stands."""
        extent = read_partitions(self.disk)[partition]
        with self.disk.open("r+b") as disk:
            disk.seek(extent.offset)
            place = extent.offset + disk.read(extent.size).index(needle)
            disk.seek(place)
            disk.write(bytes([needle[0] ^ 1]))

    def replace_uki(self, uki: bytes) -> None:
        """Put `uki` in the place of the one on the ESP, under the same name."""
        esp = f"/mnt/{DISK}@@{read_partitions(self.disk)['esp'].offset}"
        listing = self.tools.run(self.folder, ["mdir", "-b", "-i", esp, "::/EFI/Linux"]).stdout.decode()
        (self.folder / "uki.efi").write_bytes(uki)
        self.tools.run(self.folder, ["mcopy", "-o", "-i", esp, "/mnt/uki.efi", listing.strip()])


def copy_image(image: Path, folder: Path, *, tools: Tools) -> AlteredImage:
    """A copy of `image` in the new `folder`; holes in its disk stay holes."""
    folder.mkdir(parents=True)
    shutil.copyfile(image / CERTIFICATE, folder / CERTIFICATE)
    tools.runner.run(["cp", "--sparse=always", "--reflink=auto", image / DISK, folder / DISK])
    return AlteredImage(folder, tools)


def read_partitions(disk: Path) -> Mapping[str, Extent]:
    """The partitions of a raw disk by label (UEFI 2.10, 5.3)."""
    with disk.open("rb") as opened:
        opened.seek(SECTOR)
        header = opened.read(92)
        if header[:8] != b"EFI PART":
            raise ValueError(f"{disk} has no partition table.")
        start, count, size = struct.unpack_from("<QII", header, 72)
        opened.seek(start * SECTOR)
        entries = [opened.read(size) for _ in range(count)]
    return dict(_partition(entry) for entry in entries if uuid.UUID(bytes_le=entry[:16]).int)


def _partition(entry: bytes) -> tuple[str, Extent]:
    first, last = struct.unpack_from("<QQ", entry, 32)
    label = entry[56:128].decode("utf-16-le").rstrip("\0")
    return label, Extent(first * SECTOR, (last - first + 1) * SECTOR)
