"""A real cell with cheap processes: it outlives its opener, and nothing outlives it."""

import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.host import locks, sockets
from bedplate.host.clock import SystemClock
from bedplate.host.run import ProgramFailed, SystemRunner
from bedplate.local.cell.client import LOCK, OpenCell, find_cell, open_cell
from bedplate.model.errors import MachineError, UserError
from bedplate.wire.cell import ProcessSpec


def namespaces_work() -> bool:
    if shutil.which("unshare") is None:
        return False
    probe = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--mount", "--mount-proc", "--fork", "true"]
    return SystemRunner().run(probe, ok=range(256)).code == 0


pytestmark = pytest.mark.skipif(
    not namespaces_work(), reason="this machine lets no user make namespaces, which a cell is made of"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose path is longer than a Unix socket's name may be."""
    return tmp_path / ("deep" * 20) / ("deeper" * 10)


@pytest.fixture
def cell(folder: Path) -> Iterator[OpenCell]:
    opened = open_cell(folder, relays={})
    yield opened
    if find_cell(folder) is not None:
        opened.shutdown()


def sleeper(folder: Path, name: str, *argv: str) -> ProcessSpec:
    """A process that can be told from every other on this machine by its command line."""
    return ProcessSpec(name=name, argv=(*argv, "sleep", f"9999.{marker(folder)}"), log=str(folder / "sleep.log"))


def marker(folder: Path) -> str:
    return str(folder.stat().st_ino)


def processes_of(folder: Path) -> list[int]:
    """Numbers, outside the cell, of every process that names this cell or its sleepers."""
    needles = (f"9999.{marker(folder)}".encode(),)
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes()
            locked = any(link.resolve() == (folder / LOCK).resolve() for link in (entry / "fd").iterdir())
        except OSError:
            continue
        if any(needle in line for needle in needles) or (locked and int(entry.name) != os.getpid()):
            found.append(int(entry.name))
    return found


def supervisor_of(folder: Path) -> int:
    """The supervisor's number outside the cell."""
    return next(
        number
        for number in processes_of(folder)
        if b"local.cell.supervisor" in Path(f"/proc/{number}/cmdline").read_bytes()
        and Path(f"/proc/{number}/status").read_text().split("NSpid:")[1].splitlines()[0].split()[-1] == "1"
    )


def assert_nothing_is_left(folder: Path) -> None:
    assert locks.wait_until_free(folder / LOCK, seconds=10, clock=SystemClock())
    clock = SystemClock()
    end = clock.monotonic() + 5
    while processes_of(folder) and clock.monotonic() < end:
        clock.sleep(0.02)
    assert processes_of(folder) == []


def test_a_cell_outlives_the_program_that_opened_it(folder: Path) -> None:
    opener = "import sys, pathlib; from bedplate.local.cell.client import open_cell; "
    opener += "open_cell(pathlib.Path(sys.argv[1]), relays={})"
    SystemRunner().run([sys.executable, "-c", opener, folder])
    found = find_cell(folder)
    assert found is not None
    assert found.list() == ()
    found.shutdown()
    assert_nothing_is_left(folder)


def test_shutdown_leaves_no_process(cell: OpenCell) -> None:
    cell.start(sleeper(cell.folder, "one"))
    cell.start(sleeper(cell.folder, "two", "setsid", "--fork"))
    assert len(processes_of(cell.folder)) >= 3
    cell.shutdown()
    assert_nothing_is_left(cell.folder)
    assert find_cell(cell.folder) is None


def test_a_killed_supervisor_leaves_no_process(cell: OpenCell) -> None:
    cell.start(sleeper(cell.folder, "one"))
    cell.start(sleeper(cell.folder, "escaped", "setsid", "--fork"))
    os.kill(supervisor_of(cell.folder), signal.SIGKILL)
    assert_nothing_is_left(cell.folder)


def test_killing_what_made_the_namespaces_leaves_no_process(cell: OpenCell) -> None:
    cell.start(sleeper(cell.folder, "one"))
    inner = supervisor_of(cell.folder)
    outer = int(Path(f"/proc/{inner}/status").read_text().split("PPid:")[1].split()[0])
    os.kill(outer, signal.SIGKILL)
    assert_nothing_is_left(cell.folder)


def test_a_cell_can_be_opened_again_after_a_crash(cell: OpenCell) -> None:
    os.kill(supervisor_of(cell.folder), signal.SIGKILL)
    assert_nothing_is_left(cell.folder)
    again = open_cell(cell.folder, relays={})
    assert not again.reused
    assert again.list() == ()


def test_opening_an_open_cell_joins_it(cell: OpenCell) -> None:
    cell.start(sleeper(cell.folder, "one"))
    joined = open_cell(cell.folder, relays={})
    assert joined.reused
    assert [process.name for process in joined.list()] == ["one"]


def test_opening_while_another_opens_is_refused(folder: Path) -> None:
    with locks.alone(folder / LOCK, doing="opening it"), pytest.raises(UserError, match="opening or closing"):
        open_cell(folder, relays={})


def test_a_program_runs_in_the_cell_and_answers(cell: OpenCell) -> None:
    assert cell.run(["ip", "-brief", "link", "show"]).text.split()[:2] == ["lo", "DOWN"]
    with pytest.raises(ProgramFailed, match="false failed with code 1"):
        cell.run(["false"])
    assert cell.run(["false"], ok=(1,)).code == 1


def test_a_program_that_takes_too_long_is_ended(cell: OpenCell) -> None:
    with pytest.raises(ProgramFailed, match="code 124"):
        cell.run(["sleep", "100"], seconds=0.1)


def test_a_port_of_this_computer_leads_into_the_cell(folder: Path) -> None:
    with socket.create_server((sockets.LOOPBACK, 0)) as probe:
        port = probe.getsockname()[1]
    cell = open_cell(folder, relays={port: "127.0.0.1:8080"})
    try:
        cell.run(["ip", "link", "set", "lo", "up"])
        (folder / "page.txt").write_text("from inside")
        server = ("python3", "-m", "http.server", "8080", "--bind", "127.0.0.1")
        cell.start(ProcessSpec(name="web", argv=server, log=str(folder / "web.log"), cwd=str(folder)))
        assert _fetch(port, "/page.txt").endswith(b"from inside")
    finally:
        cell.shutdown()


def _fetch(port: int, path: str) -> bytes:
    """Ask until the server in the cell has come up: before, the relay closes the connection."""
    clock = SystemClock()
    end = clock.monotonic() + 10
    while clock.monotonic() < end:
        with socket.create_connection((sockets.LOOPBACK, port)) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            if body := connection.makefile("rb").read():
                return body
        clock.sleep(0.05)
    raise AssertionError("no answer")


def test_a_taken_port_is_named_and_nothing_is_started(folder: Path) -> None:
    with socket.create_server((sockets.LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MachineError, match=f"Port {port} of 127.0.0.1 is taken"):
            open_cell(folder, relays={port: "10.75.0.1:6443"})
    assert find_cell(folder) is None
