"""What a machine sees of its network and of the servers in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit

PORTS = {"https": 443, "http": 80}


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


@dataclass(frozen=True, slots=True)
class Address:
    """Where a URL leads: `authority` is host and port as they were written, `target` is path and query."""

    secure: bool
    host: str
    port: int
    authority: str
    target: str


def address_of(url: str) -> Address:
    """The address in a URL (RFC 3986) of a server of HTTP. Raises `ValueError`, with the reason, for any other text."""
    if any(each.isspace() or not each.isprintable() for each in url):
        raise ValueError("a URL has neither blanks nor control characters")
    parts = urlsplit(url)
    if parts.scheme not in PORTS:
        raise ValueError(f"a URL begins with http:// or https://, and this is {url!r}")
    if not parts.hostname:
        raise ValueError(f"{url!r} names no host")
    port = PORTS[parts.scheme] if parts.port is None else require_port(parts.port)
    target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    return Address(parts.scheme == "https", parts.hostname, port, parts.netloc, target)


def require_port(port: int) -> int:
    """The port. Raises `ValueError` when TCP has none of that number."""
    if not 0 < port < 1 << 16:
        raise ValueError(f"a port is between 1 and 65535, and this is {port}")
    return port
