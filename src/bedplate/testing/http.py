"""Servers made of a table, which can be told to misbehave in one way at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import repeat

from bedplate.host.http import Reply, broken, led_elsewhere, missing, too_slow, within
from bedplate.model.digests import sha256
from bedplate.model.errors import PeerError

Lie = Callable[[str, bytes], Iterator[bytes]]
"""What a server sends instead of the bytes that it has under an address."""
PIECE_BYTES = 1000


@dataclass
class FakeHttp:
    """Implements `bedplate.host.http.Http`. `pages` gives the bytes of an address, or `None`.

    `lies` go by the end of an address. `asked` are the addresses with the byte that was asked for first, `sent` counts
    the bytes that were handed on.
    """

    pages: Callable[[str], bytes | None]
    lies: dict[str, Lie] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    sent: int = 0
    unchanged: int = 0

    @contextmanager
    def get(self, url: str, *, most: int, start: int = 0, etag: str = "") -> Iterator[Reply]:
        self.asked.append((url, start))
        data = self.pages(url)
        lie = next((lie for end, lie in self.lies.items() if url.endswith(end)), honest)
        if data is None:
            raise missing(url, 404)
        if etag and etag == sha256(data) and lie is honest:
            self.unchanged += 1
            yield Reply(iter(()), etag, unchanged=True)
            return
        yield Reply(self._count(within(lie(url, data), url, most=most, skip=start)), sha256(data))

    def _count(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.sent += len(piece)
            yield piece


def honest(_: str, data: bytes) -> Iterator[bytes]:
    for first in range(0, len(data), PIECE_BYTES):
        yield data[first : first + PIECE_BYTES]


def endless(_: str, data: bytes) -> Iterator[bytes]:
    yield data
    yield from repeat(bytes(PIECE_BYTES))


def truncated(_: str, data: bytes) -> Iterator[bytes]:
    """Half of it, and then an end as if that were all."""
    yield data[: len(data) // 2]


def broken_off(url: str, data: bytes) -> Iterator[bytes]:
    """Half of it, and then the connection breaks."""
    yield data[: len(data) // 2]
    raise broken(url, "connection reset")


def altered(_: str, data: bytes) -> Iterator[bytes]:
    """As long as it should be, with one bit of the last byte turned."""
    yield data[:-1] + bytes([data[-1] ^ 1])


def slow(url: str, data: bytes) -> Iterator[bytes]:
    yield data[:1]
    raise too_slow(url, "less than 1024 bytes a second")


def elsewhere(url: str, data: bytes) -> Iterator[bytes]:
    del data
    raise led_elsewhere(url, "https://evil.example/")


def away(url: str, data: bytes) -> Iterator[bytes]:
    del data
    raise PeerError(f"{url} cannot be reached.")
