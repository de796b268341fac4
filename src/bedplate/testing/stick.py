"""USB sticks, made as the page on updates without a network tells people to."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from bedplate.host.media import ON_A_STICK
from bedplate.host.run import Runner

SECTOR = 512
SIZE, START = 512 << 20, 1 << 20
"""Of the stick, most of which is a hole, and where its one partition begins."""
FAT32 = 0x0C
HEADER = 30
"""Bytes before the name of an entry of a zip archive (APPNOTE.TXT 4.3.7)."""


def make_stick(stick: Path, bundle: Path, *, label: str, runner: Runner) -> None:
    """A stick with a partition table (MBR), and the bundle in a FAT32 file system of that label."""
    sectors = (SIZE - START) // SECTOR
    table = struct.pack("<446xB3xB3xII48xH", 0, FAT32, START // SECTOR, sectors, 0xAA55)
    with stick.open("wb") as sink:
        sink.truncate(SIZE)
        sink.write(table)
    offset, kibibytes = f"--offset={START // SECTOR}", str(sectors // 2)
    runner.run(["mkfs.vfat", "-F", "32", "-n", label, offset, stick, kibibytes])
    runner.run(["mcopy", "-i", f"{stick}@@{START}", bundle, f"::{ON_A_STICK}"])


def flip_byte(bundle: Path, ending: str) -> None:
    """Change one byte in the middle of the one entry whose name ends so; a second time changes it back."""
    with zipfile.ZipFile(bundle) as archive:
        (entry,) = (each for each in archive.infolist() if each.filename.endswith(ending))
    at = entry.header_offset + HEADER + len(entry.filename) + entry.file_size // 2
    with bundle.open("r+b") as opened:
        opened.seek(at)
        (byte,) = opened.read(1)
        opened.seek(at)
        opened.write(bytes([byte ^ 1]))
