"""Payloads turned back into the part they were made of: chunk by chunk, each checked before it is handed on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import zstandard

from bedplate.release.payload.parts import checked, not_the_part
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
