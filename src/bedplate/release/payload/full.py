"""Full payloads: a part as one zstd frame (RFC 8878) for each chunk, so that a node can begin at any of them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import zstandard

from bedplate.host.files import file_sha256, space_for
from bedplate.wire.release import CHUNK_BYTES, PartName, Payload, PayloadKind

LEVEL = 19
WINDOW_LOG = CHUNK_BYTES.bit_length() - 1


def make_full(source: Path, target: Path, *, part: PartName, path: str, workers: int | None = None) -> Payload:
    """Write the full payload of the part in `source` to `target`, whose target in the repository is `path`.

    `workers` frames, as many as there are cores if not told, are compressed at once; each needs some 150 MB.
    """
    frames = []
    with space_for(target), source.open("rb") as opened, target.open("wb") as sink:
        for frame in _compressed(opened, workers or len(os.sched_getaffinity(0))):
            sink.write(frame)
            frames.append(len(frame))
    return Payload(
        part=part,
        kind=PayloadKind.FULL,
        path=path,
        size=sum(frames),
        sha256=file_sha256(target),
        frames=tuple(frames),
    )


def _compressed(source: BinaryIO, workers: int) -> Iterator[bytes]:
    """The frames in their order; no more chunks are read ahead than there are workers."""
    with ThreadPoolExecutor(workers) as pool:
        running: deque[Future[bytes]] = deque()
        while chunk := source.read(CHUNK_BYTES):
            running.append(pool.submit(_compress, chunk))
            if len(running) > workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _compress(chunk: bytes) -> bytes:
    settings = zstandard.ZstdCompressionParameters.from_level(LEVEL, window_log=WINDOW_LOG, write_checksum=False)
    return zstandard.ZstdCompressor(compression_params=settings).compress(chunk)
