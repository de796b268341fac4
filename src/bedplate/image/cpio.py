"""Archives in the `newc` form that the kernel unpacks (Linux, Documentation/driver-api/early-userspace)."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass

FOLDER, FILE, LINK = stat.S_IFDIR | 0o755, stat.S_IFREG, stat.S_IFLNK | 0o777


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; `mode` holds type and permissions, `data` the content or a link's target."""

    path: str
    mode: int
    data: bytes = b""


def archive(entries: Iterable[Entry]) -> bytes:
    """The archive of `entries` in their order with all times at zero, so that the same files give the same bytes."""
    out = bytearray()
    for number, entry in enumerate([*entries, Entry("TRAILER!!!", 0)], start=1):
        name = entry.path.encode() + b"\0"
        links = 2 if stat.S_ISDIR(entry.mode) else 1
        fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + name
        _pad(out)
        out += entry.data
        _pad(out)
    return bytes(out)


def _pad(out: bytearray) -> None:
    out += bytes(-len(out) % 4)
