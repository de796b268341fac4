"""The process apart: a part of a delta, of files to a file. It knows nothing of disks, networks and versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bedplate.host.files import space_for
from bedplate.node.repack.job import BASE, BESIDE, DELTA, MADE, PART
from bedplate.release.payload.apply import rebuild_delta
from bedplate.release.payload.parts import FileAt
from bedplate.wire.release import Part, decode


def make(folder: Path) -> None:
    """Make what the files in `folder` describe. Raises `PeerError` when they do not give that part."""
    part = decode((folder / PART).read_bytes(), Part)
    with (folder / DELTA).open("rb") as delta, _read(folder / BASE) as base, _read(folder / BESIDE) as beside:
        chunks = rebuild_delta(delta, base, part, beside=beside, scratch=folder)
        with space_for(folder / MADE), (folder / MADE).open("wb") as sink:
            sink.writelines(chunks)


@contextmanager
def _read(path: Path) -> Iterator[FileAt]:
    with path.open("rb") as opened:
        yield FileAt(opened.fileno(), path.stat().st_size)
