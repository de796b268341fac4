"""Content that lies in several places of a base, as one string, and back to the places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bedplate.release.payload.delta.find import Edit
from bedplate.release.payload.delta.script import Script
from bedplate.wire.erofs import Extent


@dataclass(frozen=True, slots=True)
class Placed:
    """The bytes of `extents`, one after the other; `shift` is where their file begins among the bytes of the base."""

    image: memoryview
    extents: Sequence[Extent]
    shift: int = 0

    @property
    def size(self) -> int:
        return sum(extent.size for extent in self.extents)

    def read(self) -> bytes:
        return b"".join(self.image[extent.offset : extent.end] for extent in self.extents)

    def _spread(self, place: int, size: int) -> Iterator[tuple[int, int]]:
        """Where `size` bytes from `place` on lie in the base, as places and sizes."""
        for extent in self.extents:
            if size and place < extent.size:
                count = min(size, extent.size - place)
                yield self.shift + extent.offset + place, count
                place, size = place + count, size - count
            place -= extent.size

    def copy(self, script: Script, place: int, size: int) -> None:
        for where, count in self._spread(place, size):
            script.copy(where, count)

    def edit(self, script: Script, edit: Edit) -> None:
        """An edit whose place is one in this content."""
        if edit.place is None:
            script.edit(edit)
            return
        done = 0
        for where, count in self._spread(edit.place, len(edit.data)):
            script.edit(Edit(where, edit.data[done : done + count]))
            done += count


def gaps(taken: Sequence[Extent], size: int) -> Iterator[Extent]:
    """What of `size` bytes no extent covers; the extents are in their order and do not overlap."""
    at = 0
    for extent in [*taken, Extent(size, 0)]:
        if extent.offset > at:
            yield Extent(at, extent.offset - at)
        at = extent.end
