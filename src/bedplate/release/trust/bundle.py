"""A bundle in the place of mirrors: the same questions, the same checks, no network."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, BinaryIO

from bedplate.host.http import PIECE_BYTES, Reply, broken, missing, within
from bedplate.model.errors import PeerError
from bedplate.release.trust.moment import LONG_AGO
from bedplate.release.trust.repository import Repository

Opened = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens the file anew for each question: what it lies on may come and go."""


class BundleHttp:
    """Implements `bedplate.host.http.Http` on the entries of one file. Nothing in it is believed either."""

    def __init__(self, file: str, opened: Opened) -> None:
        self._file, self._opened, self.mirror = file, opened, f"The bundle {file}"

    @contextmanager
    def get(self, url: str, *, most: int, start: int = 0, etag: str = "") -> Iterator[Reply]:
        del etag
        name = url.removeprefix(f"{self.mirror}/")
        try:
            with self._opened() as file, zipfile.ZipFile(file) as archive:
                entry = archive.NameToInfo.get(name)
                if entry is None:
                    raise missing(f"{name} in {self._file}", 404)
                if entry.compress_type != zipfile.ZIP_STORED:
                    raise PeerError(f"{name} in {self._file} is compressed, which no bundle is.")
                with archive.open(entry) as opened:
                    opened.seek(start)
                    yield Reply(within(_pieces(opened, name), name, most=most))
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as problem:
            raise PeerError(
                f"{self._file} is not a bundle that can be read.",
                details=f"{type(problem).__name__}: {problem}",
                resolution="Copy it again, or make it again with `bedplate release bundle`.",
            ) from problem


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
    except (OSError, EOFError, zipfile.BadZipFile) as problem:
        raise broken(name, str(problem)) from problem
