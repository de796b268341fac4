"""Parts as bytes: described by their digests, read at any place, and checked chunk by chunk on the way."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bedplate.model.digests import Sha256, sha256
from bedplate.model.errors import PeerError
from bedplate.model.reading import ReadAt
from bedplate.wire.release import CHUNK_BYTES, Part


@dataclass(frozen=True, slots=True)
class FileAt:
    """An open file or block device of `size` bytes; the caller opens and closes it."""

    handle: int
    size: int

    def read_at(self, offset: int, size: int) -> bytes:
        wanted = max(0, min(size, self.size - offset))
        data = os.pread(self.handle, wanted, offset)
        while len(data) < wanted:
            more = os.pread(self.handle, wanted - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data


@dataclass(frozen=True, slots=True)
class Window:
    """`size` bytes of another source, from `offset` on."""

    source: ReadAt
    offset: int
    size: int

    def read_at(self, offset: int, size: int) -> bytes:
        return self.source.read_at(self.offset + offset, max(0, min(size, self.size - offset)))


def describe_part(path: Path) -> Part:
    """The digests of a file, which is not empty, and of each chunk of it."""
    whole = hashlib.sha256()
    chunks = []
    with path.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            whole.update(chunk)
            chunks.append(sha256(chunk))
    return Part(size=path.stat().st_size, sha256=Sha256(whole.hexdigest()), chunks=tuple(chunks))


def checked_chunks(pieces: Iterable[bytes], part: Part, *, first: int = 0) -> Iterator[bytes]:
    """The chunks of the part from chunk `first` on, made of pieces of any length that begin there.

    Each is held back until its digest is right; at most one and a piece are in memory. Raises `PeerError` for a
    chunk with other bytes, for pieces that end before the part, and for pieces that go on after it.
    """
    index, chunk = first, io.BytesIO()  # which gives away what it holds without a copy
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            if index == len(part.chunks):
                raise not_the_part("it goes on after the end of the part")
            taken = rest[: part.chunk_size(index) - chunk.tell()]
            chunk.write(taken)
            rest = rest[len(taken) :]
            if chunk.tell() == part.chunk_size(index):
                whole, chunk = chunk.getvalue(), io.BytesIO()
                yield checked(whole, part, index)
                del whole
                index += 1
    if index < len(part.chunks):
        raise not_the_part(f"it ends within chunk {index} of {len(part.chunks)}")


def checked(chunk: bytes, part: Part, index: int) -> bytes:
    """The chunk, when it is the one that the part has there."""
    if sha256(chunk) != part.chunks[index]:
        raise not_the_part(f"chunk {index} of {len(part.chunks)} has another digest")
    return chunk


def not_the_part(details: str) -> PeerError:
    """What to tell when a payload does not give what the manifest promises."""
    return PeerError(
        "A payload does not make the part that its release describes.",
        details=details,
        resolution="Nothing of it is used; another payload or another mirror may be sound.",
    )
