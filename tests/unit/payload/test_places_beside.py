"""What a delta refers to in the new /usr is known before it is applied, and is all that is read of it."""

from __future__ import annotations

import io
import lzma
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.model.errors import PeerError
from bedplate.model.reading import InMemory
from bedplate.release.payload.delta.find import Edit
from bedplate.release.payload.delta.format import Command, Head, Segment, encode_command, read_head, write_head
from bedplate.release.payload.delta.rebuild import Opened, carry_out, places_beside
from bedplate.release.payload.delta.script import Script

BASE, BESIDE = bytes(range(50)), bytes(range(50, 250))


@dataclass
class Watched:
    """A /usr that notes which of its bytes are read."""

    read: set[int] = field(default_factory=set)
    size: int = len(BESIDE)

    def read_at(self, offset: int, size: int) -> bytes:
        self.read |= set(range(offset, min(offset + size, self.size)))
        return BESIDE[offset : offset + size]


def delta_of(edits: list[tuple[int, int]]) -> io.BytesIO:
    """Copies of places and sizes, every third with something added, and new bytes between them."""
    script, sink = Script(window=1 << 16), io.BytesIO()
    for number, (place, size) in enumerate(edits):
        script.edit(Edit(place, (b"\0" if number % 3 else b"\1") * size))
        script.edit(Edit(None, b"new"))
    made = sum(size + 3 for _, size in edits)
    script.write(sink, base=[Segment(len(BASE))], part=[Segment(made)], beside=len(BESIDE))
    sink.seek(0)
    return sink


places = st.integers(0, 249).flatmap(lambda place: st.tuples(st.just(place), st.integers(1, 250 - place)))


@settings(max_examples=60, deadline=None)
@given(st.lists(places, min_size=1, max_size=8))
def test_places_are_those_that_are_read(edits: list[tuple[int, int]]) -> None:
    delta, watched = delta_of(edits), Watched()
    head = read_head(delta)
    start = delta.tell()
    told = {at for offset, size in places_beside(delta, head) for at in range(offset, offset + size)}
    delta.seek(start)
    for _ in carry_out(delta, head, Opened(InMemory(BASE), watched)):
        pass
    assert told == watched.read


@pytest.mark.parametrize(
    "commands",
    [
        [(Command.COPY, 251)],
        [(Command.SEEK, 245), (Command.COPY, 6)],
        [(Command.SEEK, -1), (Command.COPY, 1)],
        [(Command.NEW, 301)],
    ],
)
def test_places_that_are_not_there_are_neither_told_nor_read(commands: list[tuple[Command, int]]) -> None:
    control = b"".join(encode_command(command, amount) for command, amount in commands)
    packed = [lzma.compress(each, preset=0) for each in (control, b"", b"")]
    lengths = (len(packed[0]), len(packed[1]), len(packed[2]))
    delta = io.BytesIO(
        write_head(Head((Segment(len(BASE)),), (Segment(300),), lengths, len(BESIDE))) + b"".join(packed)
    )
    with pytest.raises(PeerError, match="does not make the part"):
        list(places_beside(delta, read_head(delta)))
    delta.seek(0)
    with pytest.raises(PeerError, match="does not make the part"):
        list(carry_out(delta, read_head(delta), Opened(InMemory(BASE), InMemory(BESIDE))))
