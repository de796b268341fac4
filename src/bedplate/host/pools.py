"""Connections of urllib3 as `bedplate.host.http` needs them: by proxy, with authorities, and with a deadline."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from http.client import HTTPException
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import TimeoutError as Silence
from urllib3.util import make_headers

from bedplate.host.pace import Limits
from bedplate.model.errors import MachineError

TOO_LONG = "the head of its answer does not come to an end"


def make_pool(proxy: str | None, authority: str, limits: Limits) -> urllib3.PoolManager:
    """Connections by way of `proxy`, which trust the machine's authorities and those in PEM in `authority`."""
    timeout = urllib3.Timeout(connect=limits.connect_seconds, read=limits.silence_seconds)
    context = _context(authority)
    pool = (
        urllib3.ProxyManager(
            proxy,
            proxy_headers=_authorization(proxy),
            proxy_ssl_context=context,
            ssl_context=context,
            timeout=timeout,
        )
        if proxy
        else urllib3.PoolManager(ssl_context=context, timeout=timeout)
    )
    pool.pool_classes_by_scheme = _with_a_deadline(limits.head_seconds)
    return pool


def _authorization(proxy: str) -> dict[str, str]:
    """What tells a proxy who asks, where its address has a name and a password (RFC 7617)."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return {}
    return dict(make_headers(proxy_basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}"))


def _context(authority: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if authority:
        try:
            context.load_verify_locations(cadata=authority)
        except ssl.SSLError as problem:
            raise MachineError(
                "The authority that is to be trusted cannot be read.",
                details=str(problem),
                resolution="Give certificates in PEM.",
            ) from problem
    return context


def _with_a_deadline(seconds: float) -> dict[str, type[HTTPConnectionPool]]:
    """Connections that give the head of an answer so many seconds in all.

    A limit for each read alone would let a server send one byte of it at a time for ever. The timer ends the
    connection from outside, since the read that waits cannot look at a clock.
    """

    class Deadline(HTTPConnection):
        def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as urllib3 has it
            over = threading.Event()
            timer = threading.Timer(seconds, self._end, (over,))
            timer.daemon = True
            timer.start()
            try:
                answer = super().getresponse()
            except (HTTPException, OSError) as problem:
                if over.is_set():
                    raise Silence(TOO_LONG) from problem
                raise
            finally:
                timer.cancel()
            if over.is_set():  # a head that ends with the connection passes for a whole one
                answer.close()
                raise Silence(TOO_LONG)
            return answer

        def _end(self, over: threading.Event) -> None:
            over.set()
            with suppress(OSError, AttributeError):  # it may be over already
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    class SecureDeadline(Deadline, HTTPSConnection):
        pass

    class Pool(HTTPConnectionPool):
        ConnectionCls = Deadline

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureDeadline

    return {"http": Pool, "https": SecurePool}
