"""Passes connections on from a listening socket to an address inside the cell."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

CHUNK = 64 * 1024


async def relay(listener: socket.socket, target: str) -> asyncio.Server:
    """Serve `listener`; each connection is joined to a new one to `target` (`address:port`).

    The listener may belong to another network namespace: a socket stays where it was made.
    """
    address, _, port = target.rpartition(":")

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(address, int(port))
        except OSError:  # nobody there yet: the caller sees a closed connection, as from any server
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
