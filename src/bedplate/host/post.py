"""A short text for a server, by way of a proxy and with further authorities where they are given, and what it says."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError, ProxyError
from urllib3.exceptions import TimeoutError as Silence

from bedplate.host.http import Route, check_address
from bedplate.host.pace import Limits
from bedplate.host.peers import NO_ROUTE
from bedplate.host.pools import make_pool
from bedplate.model.errors import UserError
from bedplate.model.network import Answer, Reach

PIECE_BYTES, MOST_PIECES = 1 << 14, 16
PROMPT = Limits(connect_seconds=5, silence_seconds=10, head_seconds=10)
"""A server may have to ask others before it answers; nobody waits for a download here."""


class Post(Protocol):
    """Tells servers something; does not raise because one is away or wrong."""

    def send(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> Answer:
        """What a POST of `body` comes to; `headers` say what the body is."""
        ...


@dataclass(frozen=True, slots=True)
class SystemPost:
    """Tells over the network, with a connection for each time.

    Raises `UserError` for an address that is none, and `MachineError` for authorities that are none.
    """

    route: Route
    limits: Limits = PROMPT

    def send(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> Answer:
        check_address(url)
        try:
            with make_pool(self.route.proxy_for(url), self.route.authority, self.limits) as pool:
                answer = pool.request(
                    "POST", url, body=body, headers=dict(headers), redirect=False, retries=False, preload_content=False
                )
                return Answer(Reach.ANSWERED, answer.status, _body(answer))
        except ValueError:
            # What was raised quotes the address, and that of a proxy may hold a password.
            raise UserError(
                "The address of a server, or of its proxy, cannot be read.",
                resolution="Write https://HOST:PORT, and a proxy as http://NAME:PASSWORD@HOST:PORT.",
            ) from None
        except HTTPError as problem:
            return _not_answered(problem)


def _body(answer: BaseHTTPResponse) -> bytes:
    """Few pieces, since each may be waited for: a body that comes byte by byte would go on for ever."""
    pieces = iter(lambda: answer.read1(PIECE_BYTES), b"")
    return b"".join(islice(pieces, MOST_PIECES))


def _not_answered(problem: HTTPError) -> Answer:
    """How far a request came. Where it ended at the proxy, that is told first, without its address: it has secrets."""
    causes = list(_causes(problem))
    where = "at the proxy" if isinstance(problem, ProxyError) else ""
    for each in causes:
        match each:
            case ssl.SSLCertVerificationError():
                return _told(Reach.UNTRUSTED, where, each.verify_message)
            case NameResolutionError():
                return _told(Reach.NO_NAME, where)
            case NewConnectionError():
                continue  # urllib3 counts it as a time-out, whatever it was; what it was comes next
            case ConnectionRefusedError():
                return _told(Reach.REFUSED, where)
            case Silence() | TimeoutError():
                return _told(Reach.SILENT, where)
            case OSError() if each.errno in NO_ROUTE:
                return _told(Reach.NO_ROUTE, where)
    last = causes[-1]
    return _told(Reach.BROKEN, where, str(last) or type(last).__name__)


def _told(reach: Reach, *words: str) -> Answer:
    return Answer(reach, details=", ".join(filter(None, words)))


def _causes(problem: BaseException) -> Iterator[BaseException]:
    """The error and those that it is made of, outermost first: urllib3 hands them on as arguments or as causes."""
    inner: BaseException | None = problem
    while inner is not None:
        yield inner
        inner = next((each for each in inner.args if isinstance(each, BaseException)), inner.__cause__)
