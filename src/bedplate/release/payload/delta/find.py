"""What two strings of bytes have in common, in the way of bsdiff (C. Percival, Naive differences of executable code).

bsdiff4 finds it, by sorting the suffixes of the old string: some seventeen times its size in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import bsdiff4.core

NUMBER_BYTES = 8


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
    control, added, extra = bsdiff4.core.diff(old, new)
    place = at = behind = 0
    for row in range(0, len(control), 3 * NUMBER_BYTES):
        change, fresh, step = (
            bsdiff4.core.decode_int64(control[field : field + NUMBER_BYTES])
            for field in range(row, row + 3 * NUMBER_BYTES, NUMBER_BYTES)
        )
        if change:
            yield Edit(place, added[at : at + change])
        if fresh:
            yield Edit(None, extra[behind : behind + fresh])
        place, at, behind = place + change + step, at + change, behind + fresh
