"""Short questions to servers, for when the question is whether they answer at all. Each has a time limit."""

from __future__ import annotations

import errno
import re
import socket
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bedplate.model.network import Answer, Caller, Reach, address_of

LIMIT_SECONDS = 3.0
MOST_BYTES = 4 << 20
NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL}
ROOT_QUERY = struct.pack(">HHHHHH", 0x6265, 0x0100, 1, 0, 0, 0) + b"\0" + struct.pack(">HH", 2, 1)
"""A DNS message (RFC 1035 section 4) that asks for the name servers of the root."""

HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4" + bytes(5)
"""What a client of HTTP/2 says first, with empty settings (RFC 9113 section 3.4)."""
SETTINGS = b"\4"
"""The type of the frame with which a server of HTTP/2 answers that (RFC 9113 section 6.5)."""


class Peers(Protocol):
    """Questions to others; none raises because a peer is away or wrong."""

    def answers_names(self, server: str) -> bool:
        """Whether the DNS server at that address sends any answer, be it a refusal."""
        ...

    def resolves(self, name: str) -> bool:
        """Whether this machine finds an address for `name`; an address is its own name."""
        ...

    def get(self, url: str, caller: Caller) -> Answer:
        """What a GET of `url` comes to."""
        ...

    def send(self, method: str, url: str, caller: Caller, body: bytes, *, headers: Mapping[str, str]) -> Answer:
        """What a request with a body comes to; `headers` say what the body is."""
        ...

    def connects(self, host: str, port: int) -> bool:
        """Whether a TCP connection can be opened there."""
        ...

    def speaks_http2(self, path: Path) -> bool:
        """Whether the server at a Unix socket answers as one of HTTP/2 does, such as containerd."""
        ...


@dataclass(frozen=True, slots=True)
class SystemPeers:
    """Asks over the network. `name_port` is the port of DNS servers."""

    name_port: int = 53

    def answers_names(self, server: str) -> bool:
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as asked:
                asked.settimeout(LIMIT_SECONDS)
                asked.connect((server, self.name_port))
                asked.send(ROOT_QUERY)
                return asked.recv(512)[:2] == ROOT_QUERY[:2]
        except OSError:
            return False

    def resolves(self, name: str) -> bool:
        try:
            return bool(socket.getaddrinfo(name, None))
        except (OSError, UnicodeError):  # UnicodeError: no name at all, such as `a..b`
            return False

    def connects(self, host: str, port: int) -> bool:
        try:
            with socket.create_connection((host, port), LIMIT_SECONDS):
                return True
        except (OSError, UnicodeError):  # UnicodeError: no name at all
            return False

    def speaks_http2(self, path: Path) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as talk:
                talk.settimeout(LIMIT_SECONDS)
                talk.connect(str(path))
                talk.sendall(HTTP2_GREETING)
                return talk.recv(9)[3:4] == SETTINGS
        except OSError:
            return False

    def get(self, url: str, caller: Caller) -> Answer:
        return self.send("GET", url, caller, b"", headers={})

    def send(self, method: str, url: str, caller: Caller, body: bytes, *, headers: Mapping[str, str]) -> Answer:
        try:
            return _ask(method, url, caller, body, headers)
        except (socket.gaierror, UnicodeError) as problem:
            return Answer(Reach.NO_NAME, details=str(problem.args[-1]))
        except ssl.SSLCertVerificationError as problem:
            return Answer(Reach.UNTRUSTED, details=problem.verify_message)
        except TimeoutError:
            return Answer(Reach.SILENT)
        except ConnectionRefusedError:
            return Answer(Reach.REFUSED)
        except OSError as problem:
            reach = Reach.NO_ROUTE if problem.errno in NO_ROUTE else Reach.BROKEN
            return Answer(reach, details=problem.strerror or type(problem).__name__)


def _ask(method: str, url: str, caller: Caller, body: bytes, headers: Mapping[str, str]) -> Answer:
    """HTTP/1.0, since its answers end where the connection ends: no lengths and no chunks to follow."""
    try:
        address = address_of(url)
    except ValueError as problem:
        return Answer(Reach.BROKEN, details=str(problem))
    lines = [f"{method} {address.target} HTTP/1.0", f"Host: {address.authority}"]
    lines += [f"Authorization: Bearer {caller.token}"] if caller.token else []
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}"] if method != "GET" else []
    with socket.create_connection((address.host, address.port), LIMIT_SECONDS) as plain:
        talk = _trust(caller).wrap_socket(plain, server_hostname=address.host) if address.secure else plain
        with talk:
            talk.sendall("\r\n".join([*lines, "Accept: application/json", "", ""]).encode() + body)
            text = _read(talk)
    head, _, body = text.partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not re.fullmatch(rb"[0-9]{3}", words[1]):
        return Answer(Reach.BROKEN, details="what it sends is not HTTP")
    return Answer(Reach.ANSWERED, int(words[1]), body)


def _trust(caller: Caller) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=caller.authority.decode() or None)
    # The kubelet is the measure, and Go asks less of a cluster's own CA than OpenSSL does when strict.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if caller.certificate:
        context.load_cert_chain(caller.certificate)
    return context


def _read(talk: socket.socket) -> bytes:
    text = b""
    while len(text) < MOST_BYTES and (piece := talk.recv(1 << 16)):
        text += piece
    return text
