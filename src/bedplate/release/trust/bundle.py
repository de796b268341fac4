"""A bundle in the place of mirrors: the same questions, the same checks, no network."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, BinaryIO

from bedplate.host.http import PIECE_BYTES, Reply, broken, missing, within
from bedplate.model.errors import MachineError, PeerError
from bedplate.release.trust.moment import LONG_AGO
from bedplate.release.trust.repository import Repository

Opened = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens the file anew for each question: what it lies on may come and go."""
DIRECTORY_BYTES = 1 << 20
"""The most that is read at once. A list of names has some 200 bytes for each file, and a release some ten files."""
ODD = (OSError, EOFError, ValueError, OverflowError, RuntimeError, zipfile.BadZipFile)
"""What zipfile raises for an archive that was damaged, or made to harm."""


class BundleHttp:
    """Implements `bedplate.host.http.Http` on the entries of one file. Nothing in it is believed either."""

    def __init__(self, file: str, opened: Opened) -> None:
        self._file, self._opened, self.mirror = file, opened, f"The bundle {file}"

    @contextmanager
    def get(self, url: str, *, most: int, start: int = 0, etag: str = "") -> Iterator[Reply]:
        del etag
        name = url.removeprefix(f"{self.mirror}/")
        with ExitStack() as files:
            pieces = _pieces(self._entry(name, files), name)
            # What is skipped is read all the same: the checksum of an entry is that of all of it.
            yield Reply(within(pieces, name, most=most, skip=start))

    def _entry(self, name: str, files: ExitStack) -> IO[bytes]:
        """The bytes of one name. The file is closed with `files`."""
        try:
            file = _Measured(files.enter_context(self._opened()))
            archive = files.enter_context(zipfile.ZipFile(file))
            entry = archive.NameToInfo.get(name)
            if entry is None:
                raise missing(f"{name} in {self._file}", 404)
            if entry.compress_type != zipfile.ZIP_STORED:
                raise PeerError(f"{name} in {self._file} is compressed, which no bundle is.")
            return files.enter_context(archive.open(entry))
        except MachineError as problem:  # it is that of a medium that was carried here
            raise PeerError(problem.brief, details=problem.details, resolution=problem.resolution) from problem
        except ODD as problem:
            raise PeerError(
                f"{self._file} is not a bundle that can be read.",
                details=f"{type(problem).__name__}: {problem}",
                resolution="Copy it again, or make it again with `bedplate release bundle`.",
            ) from problem


class _Measured(io.RawIOBase):
    """A file of which little is read at once: an archive may claim that its directory is larger than any memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        if size > DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"its directory claims {size} bytes")
        return self._file.read(size if size >= 0 else DIRECTORY_BYTES)


def open_bundle(
    file: str, opened: Opened, root: bytes, folder: Path, now: Callable[[], datetime], *, built: datetime = LONG_AGO
) -> Repository:
    """The repository in a bundle. What was seen of it over the network before is in `folder`, and holds here too.

    `file` is what to call it.
    """
    http = BundleHttp(file, opened)
    return Repository(root, folder, (http.mirror,), http, now, built=built, from_bundle=True)


def _pieces(opened: IO[bytes], name: str) -> Iterator[bytes]:
    try:
        while piece := opened.read(PIECE_BYTES):
            yield piece
    except (MachineError, *ODD) as problem:
        raise broken(name, f"{type(problem).__name__}: {problem}") from problem
