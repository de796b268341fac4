"""A way out of a real cell: it leads where it should, and ends with the cell however that ends."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.host import locks, sockets
from bedplate.host.clock import SystemClock, wait_until
from bedplate.host.run import ProgramFailed, SystemRunner
from bedplate.local.cell.client import LOCK, WAY_OUT_LOCK, OpenCell, find_cell, open_cell
from bedplate.local.cell.way_out import open_way_out

ENTRY = "127.0.0.1:6444"
ASK = "import socket; c = socket.create_connection(('127.0.0.1', 6444), 5); c.sendall(b'?'); c.shutdown(1); "
ASK += "print(c.makefile().read(), end='')"


def namespaces_work() -> bool:
    probe = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--mount", "--mount-proc", "--fork", "true"]
    return SystemRunner().run(probe, ok=range(256)).code == 0


pytestmark = pytest.mark.skipif(
    not namespaces_work(), reason="this machine lets no user make namespaces, which a cell is made of"
)


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[OpenCell]:
    opened = open_cell(tmp_path / ("deep" * 20) / "cell", relays={})
    opened.run(["ip", "link", "set", "lo", "up"])
    yield opened
    if find_cell(opened.folder) is not None:
        opened.shutdown()


@pytest.fixture
def target() -> Iterator[str]:
    """A server of this computer that answers every request in the same way."""
    with sockets.listen_tcp(0) as listener:
        server = threading.Thread(target=_serve, args=(listener,), daemon=True)
        server.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        server.join(5)


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"answer to " + connection.makefile("rb").read())


def ask(cell: OpenCell) -> str:
    """What the server says, asked from within until the way is open."""
    said: list[str] = []

    def missing() -> str:
        try:
            said.append(cell.run(["python3", "-c", ASK]).text)
        except ProgramFailed as problem:
            return problem.details
        return "" if said[-1] else "an empty answer"

    assert wait_until(missing, SystemClock(), seconds=10, every=0.05).missing == ""
    return said[-1]


def outside(folder: Path) -> int:
    """The number of the process outside the cell."""
    return next(
        int(entry.name)
        for entry in Path("/proc").glob("[0-9]*")
        if f"--cell={folder}".encode() in (entry / "cmdline").read_bytes()
    )


def test_a_connection_from_within_reaches_a_server_outside(cell: OpenCell, target: str) -> None:
    open_way_out(cell, entry=ENTRY, target=target)
    assert ask(cell) == "answer to ?"


def test_shutdown_leaves_no_process_outside(cell: OpenCell, target: str) -> None:
    open_way_out(cell, entry=ENTRY, target=target)
    assert ask(cell)
    cell.shutdown(seconds=10)
    assert not locks.is_held(cell.folder / WAY_OUT_LOCK)


def test_a_killed_cell_leaves_no_process_outside(cell: OpenCell, target: str) -> None:
    open_way_out(cell, entry=ENTRY, target=target)
    assert ask(cell)
    os.kill(supervisor(cell), signal.SIGKILL)
    for lock in (LOCK, WAY_OUT_LOCK):
        assert locks.wait_until_free(cell.folder / lock, seconds=10, clock=SystemClock())


def supervisor(cell: OpenCell) -> int:
    """The number, outside the cell, of its first process."""
    space = cell.run(["stat", "--dereference", "--format=%i", "/proc/1/ns/pid"]).text.strip()
    shown = SystemRunner().run(["ps", "-e", "-o", "pidns=,pid=", "--sort=pid"]).text
    return min(int(pid) for namespace, pid in (line.split() for line in shown.splitlines()) if namespace == space)


def test_a_way_is_opened_again_where_it_was_cut(cell: OpenCell, target: str) -> None:
    open_way_out(cell, entry=ENTRY, target=target)
    assert ask(cell)
    os.kill(outside(cell.folder), signal.SIGKILL)
    assert locks.wait_until_free(cell.folder / WAY_OUT_LOCK, seconds=10, clock=SystemClock())
    open_way_out(cell, entry=ENTRY, target=target)
    assert ask(cell) == "answer to ?"


def test_a_way_that_is_open_is_kept(cell: OpenCell, target: str) -> None:
    open_way_out(cell, entry=ENTRY, target=target)
    assert ask(cell)
    before = outside(cell.folder)
    open_way_out(cell, entry=ENTRY, target=target)
    assert outside(cell.folder) == before
    assert [process.name for process in cell.list()] == ["way-out"]
