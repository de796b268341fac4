"""What a PE file consists of, as far as unified kernel images need it (Microsoft, PE Format)."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from bedplate.model.reading import ReadAt
from bedplate.wire.erofs import Extent

MAGIC = b"MZ"
"""How every PE file begins; without it no loader takes a file for one."""
_DOS, _COFF, _ROW = 64, 24, 40


class NotPe(ValueError):
    """Why a file is no PE file, in a few words."""


def read_sections(file: ReadAt) -> Mapping[str, Extent]:
    """The sections by name, each with the bytes that it really has, without padding; all of them lie in the file."""
    dos = file.read_at(0, _DOS)
    if len(dos) < _DOS or dos[:2] != MAGIC:
        raise NotPe("it does not begin as a PE file does")
    (head,) = struct.unpack_from("<I", dos, 60)
    coff = file.read_at(head, _COFF)
    if len(coff) < _COFF or coff[:4] != b"PE\0\0":
        raise NotPe("it has no PE header")
    count, optional = struct.unpack_from("<H12xH", coff, 6)
    table = file.read_at(head + _COFF + optional, _ROW * count)
    if not count or len(table) < _ROW * count:
        raise NotPe("its table of sections is cut off")
    found = {}
    for row in range(0, len(table), _ROW):
        name, size, _, stored, place = struct.unpack_from("<8sIIII", table, row)
        if place + stored > file.size:
            raise NotPe("a section is cut off")
        found[name.rstrip(b"\0").decode("ascii", "replace")] = Extent(place, min(size, stored))
    return found
