"""GETs over HTTP from servers that nobody trusts: streamed, and with a limit to everything that they could do to us.

An answer may be refused, be slow, never end, lead elsewhere or stop half-way; each is an error of its own. What the
bytes are worth is for the caller to judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError
from urllib3.exceptions import TimeoutError as Silence

from bedplate.host.clock import Clock
from bedplate.host.pace import PATIENT, Floor, Limits
from bedplate.host.pools import make_pool
from bedplate.model.errors import PeerError, UserError
from bedplate.model.network import address_of

PIECE_BYTES = 1 << 16
MISSING = (403, 404, 410)
"""A store of objects says 403 of what is not there to those who may not list it."""
ELSEWHERE = (301, 302, 303, 307, 308)
UNCHANGED = 304
WHOLE, PARTIAL = 200, 206
RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]+/(?:[0-9]+|\*)", re.ASCII)


class NotThere(PeerError):
    """The server answers, and has nothing under that address: a question like "is there a next one?" ends so."""


@dataclass(frozen=True, slots=True)
class Route:
    """How to get out: proxies by scheme, hosts that are asked directly, and further authorities to trust, in PEM."""

    proxies: Mapping[str, str]
    direct: tuple[str, ...] = ()
    authority: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], *, authority: str = "") -> Route:
        """As curl reads it: `https_proxy`, `http_proxy`, `no_proxy`, in either case, the lower one first.

        `HTTP_PROXY` in capitals is left out: in a CGI program that is a header of the request (httpoxy.org).
        """
        https = environment.get("https_proxy") or environment.get("HTTPS_PROXY") or ""
        found = {"https": https, "http": environment.get("http_proxy", "")}
        direct = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
        names = tuple(name.strip().lstrip(".") for name in direct.split(",") if name.strip())
        return cls({scheme: proxy for scheme, proxy in found.items() if proxy}, names, authority)

    def proxy_for(self, url: str) -> str | None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if any(name in ("*", host) or host.endswith(f".{name}") for name in self.direct):
            return None
        return self.proxies.get(parts.scheme)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer under way. With `unchanged` it is what the ETag stood for, and there are no pieces."""

    pieces: Iterator[bytes]
    etag: str = ""
    unchanged: bool = False


class Http(Protocol):
    """Asks servers for bytes."""

    def get(self, url: str, *, most: int, start: int = 0, etag: str = "") -> AbstractContextManager[Reply]:
        """What `url` holds from byte `start` on, at most `most` bytes of that; the block ends the connection.

        Raises `NotThere` when the server has nothing there, and `PeerError` for anything else that goes wrong, also
        while the pieces are taken. A server that sends more than `most` bytes is refused when it does, not before
        what is within them was handed on.
        """
        ...


class SystemHttp:
    """Asks over the network, by urllib3. `limit` is told of each piece before it is handed on, so it may wait."""

    def __init__(
        self,
        route: Route,
        clock: Clock,
        *,
        limits: Limits = PATIENT,
        limit: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._route, self._clock, self._limits, self._limit = route, clock, limits, limit
        self._pools: dict[str | None, urllib3.PoolManager] = {}

    @contextmanager
    def get(self, url: str, *, most: int, start: int = 0, etag: str = "") -> Iterator[Reply]:
        check_address(url)
        headers = {"Accept-Encoding": "identity", "User-Agent": "bedplate"}
        headers |= {"Range": f"bytes={start}-"} if start else {}
        headers |= {"If-None-Match": etag} if etag else {}
        answer = self._ask(url, headers)
        try:
            if etag and answer.status == UNCHANGED:
                yield Reply(iter(()), etag, unchanged=True)
                return
            skipped = start - _first_byte(url, answer, start)
            pieces = within(self._pieces(url, answer), url, most=most, skip=skipped)
            yield Reply(pieces, answer.headers.get("ETag", ""))
        finally:
            answer.close()

    def _ask(self, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        asked = url
        for _ in range(self._limits.redirects + 1):
            answer = self._request(asked, headers)
            if answer.status not in ELSEWHERE:
                return answer
            asked = _same_server(asked, answer)
        raise PeerError(f"{url} redirects without an end.")

    def _request(self, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool(url).request(
                "GET", url, headers=dict(headers), redirect=False, retries=False, preload_content=False
            )
        except ConnectTimeoutError as problem:
            raise unreachable(url, problem) from problem
        except Silence as problem:
            raise too_slow(url, str(problem)) from problem
        except HTTPError as problem:
            raise unreachable(url, problem) from problem

    def _pool(self, url: str) -> urllib3.PoolManager:
        proxy = self._route.proxy_for(url)
        if proxy not in self._pools:
            self._pools[proxy] = make_pool(proxy, self._route.authority, self._limits)
        return self._pools[proxy]

    def _pieces(self, url: str, answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        floor = Floor(self._limits)
        while True:
            before = self._clock.monotonic()
            try:
                piece = answer.read1(PIECE_BYTES)
            except Silence as problem:
                raise too_slow(url, f"nothing for {self._limits.silence_seconds:g} s") from problem
            except HTTPError as problem:
                raise broken(url, str(problem)) from problem
            if not piece:
                return
            if not floor.holds(len(piece), self._clock.monotonic() - before):
                raise too_slow(url, f"less than {self._limits.floor_bytes} bytes a second")
            self._limit(len(piece))
            yield piece


def check_address(url: str) -> None:
    """Raises `UserError` for what is no address of a server of HTTP."""
    try:
        address_of(url)
    except ValueError as problem:
        raise UserError(
            f"{url!r} is not an address of a server.",
            details=str(problem),
            resolution="Write https://HOST/PATH.",
        ) from problem


def within(pieces: Iterator[bytes], url: str, *, most: int, skip: int = 0) -> Iterator[bytes]:
    """The pieces after the first `skip` bytes; raises `PeerError` when they are more than `most` bytes."""
    left = most
    for piece in pieces:
        rest = piece[skip:] if skip else piece
        skip -= min(skip, len(piece))
        if len(rest) > left:
            yield rest[:left]
            raise PeerError(
                f"{url} sends more than it may.",
                details=f"It was to send no more than {most} bytes.",
                resolution="The server is broken or hostile: use another one.",
            )
        left -= len(rest)
        if rest:
            yield rest


def too_slow(url: str, details: str) -> PeerError:
    return PeerError(f"{url} is too slow.", details=details, resolution="Use another mirror, or a faster connection.")


def broken(url: str, details: str) -> PeerError:
    return PeerError(f"{url} broke off.", details=details, resolution="Try again; what was received is not lost.")


def led_elsewhere(url: str, target: str) -> PeerError:
    return PeerError(
        f"{url} redirects to another server.",
        details=f"It leads to {target}.",
        resolution="Name the server that has the files, with its own address.",
    )


def unreachable(url: str, problem: Exception) -> PeerError:
    return PeerError(
        f"{url} cannot be reached.",
        details=f"{type(problem).__name__}: {problem}",
        resolution="Check the connection, the proxy settings (https_proxy, no_proxy) and the trusted authorities.",
    )


def missing(url: str, status: int) -> NotThere:
    return NotThere(f"{url} is not there.", details=f"The server answers {status}.")


def _first_byte(url: str, answer: urllib3.BaseHTTPResponse, start: int) -> int:
    """Where the body of the answer begins. A server may ignore that only a part was asked for (RFC 9110, 14.2)."""
    if answer.status == WHOLE:
        return 0
    if answer.status in MISSING:
        raise missing(url, answer.status)
    found = RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if answer.status == PARTIAL and found and int(found[1]) == start:
        return start
    raise PeerError(
        f"{url} cannot be used.",
        details=f"The server answers {answer.status} {answer.reason or ''}".rstrip(),
        resolution="Try again later, or use another mirror.",
    )


def _same_server(url: str, answer: urllib3.BaseHTTPResponse) -> str:
    said = answer.headers.get("Location", "")
    answer.close()
    try:
        target = urljoin(url, said)
        same = urlsplit(target)[:2] == urlsplit(url)[:2]
    except ValueError:  # brackets without an end
        target, same = said, False
    if not same:
        raise led_elsewhere(url, target)
    return target
