"""PE files: their sections, and what is no such file."""

from __future__ import annotations

import struct

import pytest

from bedplate.model.reading import InMemory
from bedplate.wire.erofs import Extent
from bedplate.wire.pe import NotPe, read_sections


def pe(*rows: tuple[bytes, int, int, int], size: int = 1024) -> bytes:
    """A file with these sections: name, size, bytes that are stored, place."""
    head = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    head += b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, len(rows), 0, 0, 0, 8, 0) + bytes(8)
    return (head + b"".join(struct.pack("<8sIIII16x", n, s, 0, r, at) for n, s, r, at in rows)).ljust(size, b"\0")


def test_sections_come_without_their_padding_and_never_with_more_than_is_stored() -> None:
    found = read_sections(InMemory(pe((b".cmdline", 5, 512, 512), (b".bss", 4096, 0, 0))))
    assert found == {".cmdline": Extent(512, 5), ".bss": Extent(0, 0)}


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        (b"", "does not begin"),
        (b"\0\0" + pe((b".a", 1, 1, 512))[2:], "does not begin"),
        (pe((b".a", 1, 1, 512))[:70], "no PE header"),
        (pe(), "table of sections is cut off"),
        (pe((b".a", 1, 1, 512))[:100], "table of sections is cut off"),
        (pe((b".a", 1, 512, 1000)), "a section is cut off"),
    ],
)
def test_what_is_no_such_file_is_told(file: bytes, problem: str) -> None:
    with pytest.raises(NotPe, match=problem):
        read_sections(InMemory(file))
