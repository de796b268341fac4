"""Downloads out of a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bedplate.host.download import Progress
from bedplate.model.digests import Sha256, sha256
from bedplate.model.errors import PeerError


class FakeDownloader:
    """Implements `bedplate.host.download.Downloader`. After `breaks_after` bytes, if set, the connection ends."""

    def __init__(self, pages: Mapping[str, bytes], *, breaks_after: int | None = None) -> None:
        self._pages = pages
        self._breaks_after = breaks_after
        self.asked: list[str] = []

    def download(self, url: str, path: Path, *, progress: Progress) -> Sha256:
        self.asked.append(url)
        if url not in self._pages:
            raise PeerError(f"{url} could not be downloaded.")
        data = self._pages[url]
        path.write_bytes(data[: self._breaks_after])
        if self._breaks_after is not None:
            raise PeerError(f"{url} could not be downloaded.", details="connection ended")
        progress(len(data), len(data))
        return sha256(data)
