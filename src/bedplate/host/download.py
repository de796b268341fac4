"""Downloads over HTTP into a file, with the digest of what arrived."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Protocol

import httpx

from bedplate.model.digests import Sha256
from bedplate.model.errors import PeerError

TIMEOUT_SECONDS = 30.0
PIECE_BYTES = 1 << 18
Progress = Callable[[int, int | None], None]
"""Called with the bytes of each piece that arrived and the total, when the server told it."""


class Downloader(Protocol):
    """Fetches one address into one file."""

    def download(self, url: str, path: Path, *, progress: Progress) -> Sha256:
        """Write what `url` gives to `path` and return its digest, for the caller to judge.

        Raises `PeerError` when the server cannot be reached, refuses or stops half-way; then `path` may
        hold a part, so callers hand in a path that nobody else looks at.
        """
        ...


@cache
def trust() -> ssl.SSLContext:
    """The machine's trust store, read once: that takes longer than a small download."""
    return ssl.create_default_context()


class HttpDownloader:
    """Downloads with the machine's own trust store and proxy settings."""

    def download(self, url: str, path: Path, *, progress: Progress) -> Sha256:
        digest = hashlib.sha256()
        try:
            with (
                httpx.stream("GET", url, follow_redirects=True, timeout=TIMEOUT_SECONDS, verify=trust()) as answer,
                path.open("wb") as file,
            ):
                answer.raise_for_status()
                size = answer.headers.get("content-length")
                for piece in answer.iter_bytes(PIECE_BYTES):
                    digest.update(piece)
                    file.write(piece)
                    progress(len(piece), int(size) if size else None)
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            raise PeerError(
                f"{url} could not be downloaded.",
                details=f"{type(problem).__name__}: {problem}",
                resolution="Check the connection and the proxy settings (HTTPS_PROXY, HTTP_PROXY, GOPROXY).",
            ) from problem
        return Sha256(digest.hexdigest())
