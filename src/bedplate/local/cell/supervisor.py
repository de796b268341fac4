"""Process 1 of a cell. Started by `bedplate.local.cell.client`, never by hand.

It ends on request, on SIGTERM or SIGINT, or by a crash. Whichever it is, the kernel ends every other
process of its namespace with it (pid_namespaces(7)), so nothing is left behind.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial

import msgspec

from bedplate.host.children import SystemChildren
from bedplate.host.clock import SystemClock
from bedplate.local.cell.keeper import Keeper
from bedplate.local.cell.relay import relay, to_tcp
from bedplate.wire import cell as wire

LINE_LIMIT = 4 * 1024 * 1024
GRACE = 10.0


async def converse(keeper: Keeper, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection, one after the other, until it ends."""
    try:
        while line := await reader.readline():
            writer.write(wire.encode(await _answer(keeper, line)))
            await writer.drain()
    except OSError:  # whoever asked went away: nobody is left to tell
        return
    finally:
        writer.close()


async def _answer(keeper: Keeper, line: bytes) -> wire.Answer:
    try:
        request = wire.decode_request(line)
    except msgspec.MsgspecError as problem:
        return wire.Refused("This is no request that the cell knows.", str(problem))
    return await keeper.answer(request)


async def serve(orders: wire.SupervisorOrders) -> None:
    """Serve until the keeper is closed."""
    keeper = Keeper(SystemChildren(), SystemClock())
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGCHLD, keeper.reap)
    closing: set[asyncio.Task[None]] = set()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _closer(keeper, closing))
    for handle, target in orders.relays.items():
        await relay(socket.socket(fileno=handle), to_tcp(target))
    api = socket.socket(fileno=orders.api)
    server = await asyncio.start_server(partial(converse, keeper), sock=api, limit=LINE_LIMIT)
    await keeper.closed.wait()
    await asyncio.sleep(0)  # lets the answer to `Shutdown` leave
    # Not waited for: somebody may hold a connection for as long as the cell lives, to learn when it ends.
    server.close()


def _closer(keeper: Keeper, closing: set[asyncio.Task[None]]) -> Callable[[], None]:
    def close() -> None:
        closing.add(asyncio.create_task(keeper.close(GRACE)))

    return close


def main() -> None:
    orders = msgspec.json.decode(sys.argv[1], type=wire.SupervisorOrders)
    asyncio.run(serve(orders))


if __name__ == "__main__":
    main()
