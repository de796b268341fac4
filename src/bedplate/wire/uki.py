"""What a unified kernel image says of itself: the sections of a PE file that a boot loader reads.

PE/COFF: Microsoft's PE Format; sections `.osrel` and `.cmdline`: UAPI Group specification, Unified Kernel Image.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.model.reading import ReadAt

MAGIC = b"MZ"
"""How every PE file begins; without it no loader takes a file for one."""
_LONGEST = 1 << 16
_USRHASH = re.compile(r"(?:^|\s)usrhash=([0-9a-f]{64})(?:\s|$)", re.ASCII)


class NotUki(ValueError):
    """Why a file is no UKI, in a few words."""


@dataclass(frozen=True, slots=True)
class Uki:
    """`sort_key` and `version` are what the loader sorts by; `root_hash` is empty for a kernel without usrhash=."""

    sort_key: str
    version: str
    root_hash: str


def read_uki(file: ReadAt) -> Uki:
    """Raises `NotUki` for anything that systemd-boot would not list."""
    sections = _sections(file)
    if ".osrel" not in sections:
        raise NotUki("it has no .osrel section")
    release = _assignments(_text(file, sections[".osrel"]))
    command_line = _text(file, sections[".cmdline"]) if ".cmdline" in sections else ""
    sort_key = release.get("IMAGE_ID") or release.get("ID", "")
    version = next(filter(None, map(release.get, ("IMAGE_VERSION", "VERSION", "VERSION_ID", "BUILD_ID"))), "")
    if not sort_key and not release.get("PRETTY_NAME"):
        raise NotUki("its .osrel section names nothing")
    return Uki(sort_key or "", version or "", root_hash_in(command_line) or "")


def root_hash_in(command_line: str) -> str | None:
    """The root hash of /usr that a kernel command line names."""
    found = _USRHASH.search(command_line.rstrip("\0"))
    return found[1] if found else None


def _sections(file: ReadAt) -> Mapping[str, tuple[int, int]]:
    """Place and size of each section in the file; all of them lie within it."""
    dos = file.read_at(0, 64)
    if len(dos) < 64 or dos[:2] != MAGIC:
        raise NotUki("it does not begin as a PE file does")
    (pe,) = struct.unpack_from("<I", dos, 60)
    header = file.read_at(pe, 24)
    if len(header) < 24 or header[:4] != b"PE\0\0":
        raise NotUki("it has no PE header")
    count, optional = struct.unpack_from("<H", header, 6)[0], struct.unpack_from("<H", header, 20)[0]
    table = file.read_at(pe + 24 + optional, 40 * count)
    if not count or len(table) < 40 * count:
        raise NotUki("its table of sections is cut off")
    sections = {}
    for row in range(0, len(table), 40):
        size, _, stored, place = struct.unpack_from("<IIII", table, row + 8)
        if place + stored > file.size:
            raise NotUki("a section is cut off")
        sections[table[row : row + 8].rstrip(b"\0").decode("ascii", "replace")] = (place, min(size, stored))
    return sections


def _text(file: ReadAt, section: tuple[int, int]) -> str:
    place, size = section
    return file.read_at(place, min(size, _LONGEST)).decode("utf-8", "replace")


def _assignments(text: str) -> Mapping[str, str]:
    """The fields of os-release(5), as far as quotes matter here."""
    pairs = (line.partition("=") for line in text.rstrip("\0").splitlines() if not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, found, value in pairs if found}
