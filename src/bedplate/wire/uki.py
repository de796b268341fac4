"""What a unified kernel image says of itself to a boot loader: its sections `.osrel` and `.cmdline`.

UAPI Group specification, Unified Kernel Image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.model.reading import ReadAt
from bedplate.wire.erofs import Extent
from bedplate.wire.pe import NotPe, read_sections

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
    try:
        sections = read_sections(file)
    except NotPe as problem:
        raise NotUki(str(problem)) from problem
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


def _text(file: ReadAt, section: Extent) -> str:
    return file.read_at(section.offset, min(section.size, _LONGEST)).decode("utf-8", "replace")


def _assignments(text: str) -> Mapping[str, str]:
    """The fields of os-release(5), as far as quotes matter here."""
    pairs = (line.partition("=") for line in text.rstrip("\0").splitlines() if not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, found, value in pairs if found}
