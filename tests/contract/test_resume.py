"""A download goes on at real servers: at one that knows ranges, and at one that sends all of it (RFC 9110, 14.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from bedplate.host.clock import SystemClock
from bedplate.host.http import Route, SystemHttp
from bedplate.host.serve import serving
from bedplate.model.digests import sha256
from bedplate.node.update.fetching import Downloads
from bedplate.wire.release import PartName, Payload, PayloadKind
from tests.contract.test_http import BODY, HEAD, playing, says

PAYLOAD = Payload(
    part=PartName.USR,
    kind=PayloadKind.FULL,
    path="releases/V/usr.zst",
    size=len(BODY),
    sha256=sha256(BODY),
    frames=(len(BODY),),
)
Serve = Callable[[Path], AbstractContextManager[str]]


@contextmanager
def with_ranges(folder: Path) -> Iterator[str]:
    (folder / "file").write_bytes(BODY)
    with serving(folder) as port:
        yield f"http://127.0.0.1:{port}/file"


def without_ranges(folder: Path) -> AbstractContextManager[str]:
    del folder
    return playing(says(HEAD, f"Content-Length: {len(BODY)}\r\n\r\n".encode(), BODY))


@dataclass
class Server:
    """Implements `Releases` as far as a download asks: the address of one payload."""

    url: str

    def fetch(self, payload: Payload, *, start: int = 0) -> Iterator[bytes]:
        http = SystemHttp(Route({}), SystemClock())
        with http.get(self.url, most=payload.size - start, start=start) as reply:
            yield from reply.pieces

    def refresh(self) -> NoReturn:
        raise NotImplementedError

    def channel(self, name: str) -> NoReturn:
        raise NotImplementedError(name)

    def release(self, version: str) -> NoReturn:
        raise NotImplementedError(version)


@pytest.mark.parametrize("serve", [with_ranges, without_ranges])
@pytest.mark.parametrize("there", [BODY[:1], BODY[:70_000], BODY[:-1], b"wrong"], ids=len)
def test_a_download_goes_on_and_ends_with_what_was_signed(tmp_path: Path, serve: Serve, there: bytes) -> None:
    folder = tmp_path / "node"
    folder.mkdir()
    (folder / f"usr.{PAYLOAD.sha256}.delta").write_bytes(there)
    with serve(tmp_path) as url:
        assert Downloads(folder, Server(url), lambda: 1 << 30).whole(PAYLOAD).read_bytes() == BODY
