"""A proxy that opens tunnels and does nothing else (RFC 9110 section 9.3.6)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """`asked` are the servers to which tunnels were wanted, as HOST:PORT."""

    url: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def tunnelling() -> Iterator[Proxy]:
    """A proxy on this machine for one tunnel after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        proxy = Proxy(f"http://127.0.0.1:{listening.getsockname()[1]}")

        def serve() -> None:
            with suppress(OSError):  # it is shut down
                while True:
                    connection, _ = listening.accept()
                    with connection, suppress(OSError):
                        _tunnel(connection, proxy)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield proxy
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _tunnel(connection: socket.socket, proxy: Proxy) -> None:
    method, target, _ = connection.recv(4096).decode().split(" ", 2)
    if method != "CONNECT":
        connection.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
        return
    proxy.asked.append(target)
    host, _, port = target.rpartition(":")
    with socket.create_connection((host, int(port))) as server:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        back = threading.Thread(target=_pass_on, args=(server, connection))
        back.start()
        _pass_on(connection, server)
        back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(1 << 16):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
