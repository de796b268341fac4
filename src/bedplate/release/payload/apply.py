"""Payloads turned back into the part they were made of: chunk by chunk, each checked before it is handed on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import zstandard

from bedplate.model.reading import ReadAt
from bedplate.release.payload.delta.format import Head, read_head
from bedplate.release.payload.delta.frames import packed_again, unpacked
from bedplate.release.payload.delta.rebuild import Opened, carry_out
from bedplate.release.payload.parts import Window, checked, checked_chunks, not_the_part
from bedplate.wire.release import CHUNK_BYTES, Part, Payload

FRAME_BYTES = CHUNK_BYTES + (CHUNK_BYTES >> 8) + 64
"""No frame is longer (ZSTD_COMPRESSBOUND of zstd.h); what claims to be is not read."""


def rebuild_full(pieces: Iterable[bytes], payload: Payload, part: Part, *, first: int = 0) -> Iterator[bytes]:
    """The chunks of the part from `first` on; `pieces`, of any length, begin where `start_of` says.

    At most one frame, its chunk and a piece are in memory. Raises `PeerError` for whatever is not that part.
    """
    if len(payload.frames) != len(part.chunks):
        raise not_the_part(f"it has {len(payload.frames)} frames for {len(part.chunks)} chunks")
    frames = _frames(pieces, payload.frames[first:])
    for index, frame in enumerate(frames, start=first):
        yield checked(_chunk_of(frame, part.chunk_size(index), index), part, index)


def start_of(payload: Payload, first: int) -> int:
    """Where in a full payload the frame of chunk `first` begins."""
    return sum(payload.frames[:first])


def _frames(pieces: Iterable[bytes], lengths: Iterable[int]) -> Iterator[bytes]:
    """The pieces cut anew at the ends of frames."""
    source = iter(pieces)
    held = bytearray()
    for index, length in enumerate(lengths):
        if not 0 < length <= FRAME_BYTES:
            raise not_the_part(f"frame {index} claims {length} bytes")
        while len(held) < length:
            piece = next(source, None)
            if piece is None:
                raise not_the_part(f"frame {index} is cut short")
            held += piece
        frame = bytes(memoryview(held)[:length])
        del held[:length]
        yield frame
    if held or any(source):
        raise not_the_part("the payload goes on after its last frame")


def _chunk_of(frame: bytes, size: int, index: int) -> bytes:
    """What the frame holds. Its head is read first: memory is only had for a chunk of the right size."""
    try:
        claimed = zstandard.get_frame_parameters(frame).content_size
        if claimed != size:
            raise not_the_part(f"the frame of chunk {index} claims {claimed} bytes, not {size}")
        return zstandard.ZstdDecompressor().decompress(frame, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as problem:
        raise not_the_part(f"the frame of chunk {index} cannot be unpacked: {problem}") from problem


def rebuild_delta(
    delta: BinaryIO,
    base: ReadAt,
    part: Part,
    *,
    beside: ReadAt | None = None,
    first: int = 0,
    scratch: Path | None = None,
) -> Iterator[bytes]:
    """The chunks of the part from `first` on, of a delta and the part it was made against.

    `delta` is a file that can be read at any place; `beside` is the new /usr, to which the delta of a UKI refers. At
    most one chunk, the windows of three streams and what `Payload.memory` tells are in memory; frames of the base
    are opened into files in the folder `scratch`. Raises `PeerError` for a delta that is damaged, that lies, or that
    was made against something else.
    """
    head = read_head(delta)
    if sum(segment.size for segment in head.part) != part.size:
        raise not_the_part("the delta makes a part of another size")
    if sum(segment.size for segment in head.base) != base.size:
        raise not_the_part("the delta was made against a base of another size")
    if head.beside and (beside is None or beside.size < head.beside):
        raise not_the_part("the delta refers to a /usr that is not there")
    return _chunks(delta, head, base, beside, part, first, scratch)


def _chunks(
    delta: BinaryIO, head: Head, base: ReadAt, beside: ReadAt | None, part: Part, first: int, scratch: Path | None
) -> Iterator[bytes]:
    with opened_base(head, base, beside, scratch) as sources:
        if head.plain:
            yield from checked_chunks(carry_out(delta, head, sources, start=first * CHUNK_BYTES), part, first=first)
        else:
            made = packed_again(carry_out(delta, head, sources), head)
            yield from passed_over(checked_chunks(made, part), first)


@contextmanager
def opened_base(head: Head, base: ReadAt, beside: ReadAt | None, scratch: Path | None) -> Iterator[Opened]:
    """The base in the uncompressed domain, and the new /usr behind it where the delta refers to that."""
    with ExitStack() as files:
        sources: list[ReadAt] = []
        offset = 0
        for segment in head.base:
            source = Window(base, offset, segment.size)
            sources.append(files.enter_context(unpacked(source, segment, scratch)) if segment.level else source)
            offset += segment.size
        if head.beside and beside is not None:
            sources.append(Window(beside, 0, head.beside))
        yield Opened(*sources)


def passed_over(chunks: Iterator[bytes], first: int) -> Iterator[bytes]:
    """All but the first ones: a part that is packed again has to be made from its beginning."""
    return (chunk for index, chunk in enumerate(chunks) if index >= first)
