"""A way out of a cell to one address, for machines that have no other.

Two processes stand at a Unix socket, which the file system leads across network namespaces: one listens
in the cell, one connects outside. The one outside belongs to the cell: it keeps a connection to the
supervisor and ends with it, however that ends.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bedplate.host import locks, sockets
from bedplate.host.run import start_detached
from bedplate.local.cell.client import SOCKET, WAY_OUT_LOCK, OpenCell
from bedplate.local.cell.relay import relay, to_tcp, to_unix
from bedplate.wire.cell import ProcessSpec

WAY_OUT = "way-out"
WAY_SOCKET = "way-out.sock"
MODULE = "bedplate.local.cell.way_out"


def open_way_out(cell: OpenCell, *, entry: str, target: str) -> None:
    """Lead connections to `entry` (`address:port` of the cell) to `target` (`host:port`, as this computer sees it).

    What runs already is kept. Raises `MachineError` when a process cannot be started.
    """
    _start_outside(cell.folder, target)
    if any(process.name == WAY_OUT and process.state == "running" for process in cell.list()):
        return
    argv = (sys.executable, "-P", "-m", MODULE, "inside", f"--entry={entry}", f"--socket={cell.folder / WAY_SOCKET}")
    cell.start(ProcessSpec(name=WAY_OUT, argv=argv, log=str(cell.folder / "way-out-inside.log"), restart=True))


def _start_outside(folder: Path, target: str) -> None:
    lock = locks.take(folder / WAY_OUT_LOCK)
    if lock is None:
        return
    with ExitStack() as handles:
        handles.callback(os.close, lock)
        door = handles.enter_context(sockets.listen_unix(folder / WAY_SOCKET))
        options = [f"--door={door.fileno()}", f"--target={target}", f"--cell={folder / SOCKET}"]
        start_detached(
            [sys.executable, "-P", "-m", MODULE, "outside", *options],
            log=folder / "way-out.log",
            pass_fds=(lock, door.fileno()),
        )


async def serve_inside(entry: str, door: Path) -> None:
    """Listen at `entry` for ever."""
    address, _, port = entry.rpartition(":")
    server = await relay(socket.create_server((address, int(port))), to_unix(door))
    await server.serve_forever()


async def serve_outside(door: int, target: str, cell: Path) -> None:
    """Connect to `target` for whoever comes to `door`, until the cell ends."""
    life, keep = await to_unix(cell)()
    server = await relay(socket.socket(fileno=door), to_tcp(target))
    await life.read()
    server.close()
    keep.close()


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog=MODULE, description=__doc__)
    sides = parser.add_subparsers(dest="side", required=True)
    inside = sides.add_parser("inside")
    inside.add_argument("--entry", required=True, help="address and port to listen at")
    inside.add_argument("--socket", type=Path, required=True, help="the Unix socket that leads outside")
    outside = sides.add_parser("outside")
    outside.add_argument("--door", type=int, required=True, help="the Unix socket, listening, as an open file")
    outside.add_argument("--target", required=True, help="host and port to connect to")
    outside.add_argument("--cell", type=Path, required=True, help="the supervisor's socket")
    options = parser.parse_args(arguments)
    if options.side == "inside":
        asyncio.run(serve_inside(options.entry, options.socket))
    else:
        asyncio.run(serve_outside(options.door, options.target, options.cell))


if __name__ == "__main__":
    main(sys.argv[1:])
