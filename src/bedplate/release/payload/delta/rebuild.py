"""A part from a delta and its base: commands are read, carried out in blocks, and never more than that is in memory."""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from typing import BinaryIO

from bedplate.model.reading import ReadAt
from bedplate.release.payload.delta.format import STREAM_MEMORY, Command, Head, most_commands, total
from bedplate.release.payload.parts import not_the_part

BLOCK = 1 << 18
READ_BYTES = 1 << 16
LONGEST_NUMBER = 8
SEVENS, EIGHTS = b"\x7f" * BLOCK, b"\x80" * BLOCK


class Stream:
    """One of the three: `size` bytes of the file from `offset` on, unpacked as they are asked for."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        self._file, self._offset, self._left = file, offset, size
        self._unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=STREAM_MEMORY)
        self._held, self._at = b"", 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes, at most `BLOCK` at once. Raises `PeerError` when there are fewer."""
        end = self._at + size
        if end <= len(self._held):
            piece = self._held[self._at : end]
            self._at = end
            return piece
        pieces = [self._held[self._at :]]
        missing = end - len(self._held)
        while missing > 0:
            self._held = self._more()
            self._at = min(missing, len(self._held))
            pieces.append(self._held[: self._at])
            missing -= self._at
        return b"".join(pieces)

    def _more(self) -> bytes:
        """Some more unpacked bytes, at most `BLOCK`."""
        data = b""
        while not data:
            if self._unpacker.eof:
                raise not_the_part("a stream of the delta ends too early")
            packed = self._read() if self._unpacker.needs_input else b""
            try:
                data = self._unpacker.decompress(packed, BLOCK)
            except lzma.LZMAError as problem:
                raise not_the_part(f"a stream of the delta cannot be unpacked: {problem}") from problem
        return data

    def _read(self) -> bytes:
        self._file.seek(self._offset)
        packed = self._file.read(min(READ_BYTES, self._left))
        if not packed:
            raise not_the_part("the delta is cut short")
        self._offset += len(packed)
        self._left -= len(packed)
        return packed


class Script:
    """The control stream as commands, each within bounds: none makes nothing, and there are not too many."""

    def __init__(self, stream: Stream, size: int) -> None:
        self._stream, self._left, self._size = stream, most_commands(size), size

    def next(self) -> tuple[int, int]:
        """The command and its amount. Raises `PeerError`."""
        self._left -= 1
        if self._left < 0:
            raise not_the_part("the delta has more commands than its part can need")
        take, shift, value = self._stream.take, 0, 0
        while True:
            byte = take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift >= 7 * LONGEST_NUMBER:
                raise not_the_part("a command of the delta is too long")
        if not value >> 2:
            raise not_the_part("a command of the delta does nothing")
        return value & 3, value >> 2


class Opened:
    """What commands refer to: sources one after the other, as one space of bytes."""

    def __init__(self, *sources: ReadAt) -> None:
        self._sources = sources
        self.size = sum(source.size for source in sources)

    def read_at(self, offset: int, size: int) -> bytes:
        if offset < 0 or offset + size > self.size:
            raise not_the_part("the delta refers to what is beyond its base")
        pieces = []
        for source in self._sources:
            if size and offset < source.size:
                piece = source.read_at(offset, min(size, source.size - offset))
                pieces.append(piece)
                offset, size = offset + len(piece), size - len(piece)
            offset -= source.size
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if size:
            raise not_the_part("the base is shorter than it says")
        return data


def streams(delta: BinaryIO, head: Head) -> tuple[Stream, Stream, Stream]:
    """The three streams behind the head, where the file is now."""
    start = delta.tell()
    control, diff, extra = head.streams
    return (
        Stream(delta, start, control),
        Stream(delta, start + control, diff),
        Stream(delta, start + control + diff, extra),
    )


def steps(control: Stream, head: Head) -> Iterator[tuple[int, int, int]]:
    """The commands that make something, in their order, until the part is whole: each with its place and its amount.

    The place is where it refers to in the base and the new /usr behind that; NEW refers to none. They make no more
    bytes together than the part has. Raises `PeerError` for a command that cannot be carried out.
    """
    size = total(head.part)
    script, place, made = Script(control, size), 0, 0
    while made < size:
        command, amount = script.next()
        if command == Command.SEEK:
            place += signed(amount)
            continue
        made += amount
        if made > size:
            raise not_the_part("the delta makes more than its part")
        yield command, place, amount
        place += amount if command != Command.NEW else 0


def signed(amount: int) -> int:
    """How far a SEEK goes."""
    return -(amount >> 1) if amount & 1 else amount >> 1


def places_beside(delta: BinaryIO, head: Head) -> Iterator[tuple[int, int]]:
    """Offsets and sizes of what the commands refer to in the new /usr, in their order; the base is not needed.

    Raises `PeerError` for a command that cannot be carried out.
    """
    begin, end = total(head.base), total(head.base) + head.beside
    for command, place, amount in steps(streams(delta, head)[0], head):
        if command == Command.NEW:
            continue
        if place < 0 or place + amount > end:
            raise not_the_part("the delta refers to what is beyond its base")
        if place + amount > begin:
            first = max(place, begin)
            yield first - begin, place + amount - first


def carry_out(delta: BinaryIO, head: Head, base: ReadAt, *, start: int = 0) -> Iterator[bytes]:
    """What the commands make, from byte `start` on, in pieces. What comes before is passed over, the base not read.

    Raises `PeerError` for a command that cannot be carried out; what is made is for the caller to check.
    """
    control, diff, extra = streams(delta, head)
    batch, made = Batch(), 0
    for command, place, amount in steps(control, head):
        done = 0
        while done < amount:
            left = amount - done
            count = min(left, batch.room, start - made if made < start else left)
            added = diff.take(count) if command == Command.ADD else extra.take(count) if command == Command.NEW else b""
            if made >= start:
                batch.put(b"" if command == Command.NEW else base.read_at(place + done, count), added)
            made, done = made + count, done + count
            if not batch.room:
                yield batch.sum()
    yield batch.sum()


class Batch:
    """Pieces of the base with what is added to each, summed a block at a time: many commands, one addition."""

    def __init__(self) -> None:
        self._base: list[bytes] = []
        self._added: list[bytes] = []
        self.room = BLOCK

    def put(self, base: bytes, added: bytes) -> None:
        size = len(base) or len(added)
        self._base.append(base or bytes(size))
        self._added.append(added or bytes(size))
        self.room -= size

    def sum(self) -> bytes:
        base, added = b"".join(self._base), b"".join(self._added)
        self._base, self._added, self.room = [], [], BLOCK
        return add_bytes(base, added)


def add_bytes(one: bytes, other: bytes) -> bytes:
    """The sums of bytes of two strings of one length, modulo 256, each on its own.

    As whole numbers: the lower seven bits of each byte are added where no carry can leave it, and the highest bits by
    exclusive or. Zeros, which are most of what is added, are told apart before.
    """
    size = len(one)
    if not any_set(other):
        return one
    a, b = int.from_bytes(one, "little"), int.from_bytes(other, "little")
    sevens, eights = int.from_bytes(SEVENS[:size], "little"), int.from_bytes(EIGHTS[:size], "little")
    return (((a & sevens) + (b & sevens)) ^ ((a ^ b) & eights)).to_bytes(size, "little")


def any_set(data: bytes) -> bool:
    return data.count(0) != len(data)
