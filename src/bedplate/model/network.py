"""What a machine sees of its network and of the servers in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, slots=True)
class Link:
    """A network card or what is built on one; `addresses` are global ones with prefix, `10.0.0.2/24`."""

    name: str
    carrier: bool
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where the default route leads; `address` is empty for a route without a next hop."""

    address: str
    link: str


class Reach(Enum):
    """How far a request came."""

    NO_NAME = "the name does not resolve"
    NO_ROUTE = "no route"
    REFUSED = "refused"
    SILENT = "no answer in time"
    UNTRUSTED = "the certificate is not trusted"
    BROKEN = "the connection broke"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an HTTP request: `status` and `body` when it was answered, otherwise `details` in one line."""

    reach: Reach
    status: int = 0
    body: bytes = field(default=b"", repr=False)
    details: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and whom to trust: a CA in PEM, and a bearer token or the path of a certificate with its key."""

    authority: bytes = b""
    token: str = field(default="", repr=False)
    certificate: str = ""
