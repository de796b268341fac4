"""Passes connections on from a listening socket to another place: an address, or a Unix socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from bedplate.host import sockets

CHUNK = 64 * 1024
CONNECT_SECONDS = 10.0

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Connection]]


def to_tcp(target: str) -> Connect:
    """New connections to `target` (`address:port`, or `name:port`)."""
    address, _, port = target.rpartition(":")
    return lambda: asyncio.wait_for(asyncio.open_connection(address.strip("[]"), int(port)), CONNECT_SECONDS)


def to_unix(path: Path) -> Connect:
    """New connections to the Unix socket at `path`, which may lie as deep as it likes."""

    async def connect() -> Connection:
        return await asyncio.open_unix_connection(sock=sockets.connect_unix(path, seconds=CONNECT_SECONDS))

    return connect


async def relay(listener: socket.socket, connect: Connect) -> asyncio.Server:
    """Serve `listener`; each connection is joined to a new one that `connect` makes.

    The listener may belong to another network namespace: a socket stays where it was made.
    """

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await connect()
        except (OSError, TimeoutError):  # nobody there yet: the caller sees a closed connection, as from any server
            writer.close()
            return
        await asyncio.gather(_pour(reader, far_writer), _pour(far_reader, writer))
        for end in (writer, far_writer):
            end.close()

    return await asyncio.start_server(join, sock=listener)


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy until the source ends, then tell the other side that no more comes."""
    with suppress(OSError):
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
    with suppress(OSError):
        if sink.can_write_eof():
            sink.write_eof()
