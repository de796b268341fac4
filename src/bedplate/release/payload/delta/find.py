"""What two strings of bytes have in common, in the way of bsdiff (C. Percival, Naive differences of executable code).

detools finds it, with a suffix array of the old string: some seven times the memory of the larger one. Its patches in
the form without compression are read here; they never leave the publisher.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import detools

from bedplate.model.errors import OurError

HEAD_BYTES = 1


@dataclass(frozen=True, slots=True)
class Edit:
    """`data` is what is added, byte by byte, to the old string at `place`; or new bytes where there is no place."""

    place: int | None
    data: bytes

    def cut(self, size: int) -> tuple[Edit, Edit]:
        """The first `size` bytes, and the rest."""
        after = None if self.place is None else self.place + size
        return Edit(self.place, self.data[:size]), Edit(after, self.data[size:])


def edits(old: bytes, new: bytes) -> Iterator[Edit]:
    """What makes `new` of `old`, in the order of `new`."""
    if not old or not new:
        if new:
            yield Edit(None, new)
        return
    patch = io.BytesIO()
    detools.create_patch(
        io.BytesIO(old), io.BytesIO(new), patch, compression="none", suffix_array_algorithm="divsufsort"
    )
    yield from _read(Reader(patch.getbuffer(), HEAD_BYTES), len(new))


class Reader:
    """Numbers and bytes of a patch: a number has its sign in bit 6 of the first byte, then seven bits a byte."""

    def __init__(self, data: memoryview, place: int) -> None:
        self._data, self._place = data, place

    def number(self) -> int:
        byte = self._data[self._place]
        negative, value, shift = byte & 0x40, byte & 0x3F, 6
        self._place += 1
        while byte & 0x80:
            byte = self._data[self._place]
            value |= (byte & 0x7F) << shift
            shift += 7
            self._place += 1
        return -value if negative else value

    def bytes(self, size: int) -> bytes:
        self._place += size
        return bytes(self._data[self._place - size : self._place])


def _read(patch: Reader, size: int) -> Iterator[Edit]:
    """The size, the length of a data section (none), then by turns what is added, what is new, and a move."""
    if patch.number() != size or patch.number() != 0:
        raise OurError("detools writes another form of patch than the one that is read here.")
    place = made = 0
    while made < size:
        added = patch.bytes(patch.number())
        extra = patch.bytes(patch.number())
        if added:
            yield Edit(place, added)
        if extra:
            yield Edit(None, extra)
        place, made = place + len(added), made + len(added) + len(extra)
        if made < size:
            place += patch.number()
