"""zstd frames within a part: opened for the delta, and made again bit for bit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import zstandard

from bedplate.model.reading import InMemory, ReadAt
from bedplate.release.payload.delta.format import Head, Segment
from bedplate.release.payload.parts import not_the_part

PIECE = 1 << 17


def settings_of(segment: Segment) -> zstandard.ZstdCompressionParameters:
    """What `zstd` 1.5 uses at that level: one worker, a checksum, the size where the input was a file.

    Its frames do not depend on how many workers there are, but differ from those that are made with none.
    """
    return zstandard.ZstdCompressionParameters.from_level(
        segment.level, threads=1, write_checksum=True, write_content_size=segment.sized
    )


def unpacked(source: ReadAt, segment: Segment) -> InMemory:
    """What the frame in `source` holds, all of it in memory. Raises `PeerError` when that is not as told."""
    window = 1 << 31
    pieces, size = [], 0
    try:
        unpacker = zstandard.ZstdDecompressor(max_window_size=window).decompressobj(write_size=PIECE)
        for offset in range(0, source.size, PIECE):
            pieces.append(unpacker.decompress(source.read_at(offset, PIECE)))
            size += len(pieces[-1])
            if size > segment.inner:
                break
    except zstandard.ZstdError as problem:
        raise not_the_part(f"a frame of the base cannot be unpacked: {problem}") from problem
    if size != segment.inner:
        raise not_the_part("a frame of the base holds another number of bytes than the delta says")
    return InMemory(b"".join(pieces))


def packed_again(opened: Iterable[bytes], head: Head) -> Iterator[bytes]:
    """The part, of its bytes in the uncompressed domain. Another codec makes other bytes, which their digest shows."""
    source = Cutter(opened)
    for segment in head.part:
        if segment.level:
            yield from packed(source.pieces(segment.inner), segment)
        else:
            yield from source.pieces(segment.size)


def packed(pieces: Iterable[bytes], segment: Segment) -> Iterator[bytes]:
    size = segment.inner if segment.sized else -1
    packer = zstandard.ZstdCompressor(compression_params=settings_of(segment)).compressobj(size=size)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


class Cutter:
    """Pieces of any length, given out again in counted bytes."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = b""

    def pieces(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes."""
        while size:
            piece = self._held or next(self._pieces, None)
            if piece is None:
                raise not_the_part("the delta makes less than its part")
            taken, self._held = piece[:size], piece[size:]
            size -= len(taken)
            yield taken
