"""zstd frames within a part: opened for the delta, and made again bit for bit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import zstandard

from bedplate.model.reading import ReadAt
from bedplate.release.payload.delta.format import Head, Segment
from bedplate.release.payload.parts import FileAt, not_the_part

PIECE = 1 << 17


def settings_of(segment: Segment) -> zstandard.ZstdCompressionParameters:
    """What `zstd` 1.5 uses at that level: one worker, a checksum, the size where the input was a file.

    Its frames do not depend on how many workers there are, but differ from those that are made with none.
    """
    return zstandard.ZstdCompressionParameters.from_level(
        segment.level, threads=1, write_checksum=True, write_content_size=segment.sized
    )


@contextmanager
def unpacked(source: ReadAt, segment: Segment, scratch: Path | None) -> Iterator[ReadAt]:
    """What the frame in `source` holds, as a file without a name in the folder `scratch`: memory is for packing.

    Raises `PeerError` when that is not as told.
    """
    with TemporaryFile(dir=scratch) as file:
        size = 0
        for piece in _pieces(source):
            size += len(piece)
            if size > segment.inner:
                break
            file.write(piece)
        if size != segment.inner:
            raise not_the_part("a frame of the base holds another number of bytes than the delta says")
        file.flush()
        yield FileAt(file.fileno(), size)


def _pieces(source: ReadAt) -> Iterator[bytes]:
    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj(write_size=PIECE)
    try:
        for offset in range(0, source.size, PIECE):
            yield unpacker.decompress(source.read_at(offset, PIECE))
    except zstandard.ZstdError as problem:
        raise not_the_part(f"a frame of the base cannot be unpacked: {problem}") from problem


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
