"""What is cut short, killed or unplugged is told truly, made good by the next `up`, and gone after `down`."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bedplate.host import locks, sockets
from bedplate.host.clock import SystemClock, wait_until
from bedplate.host.run import Completed, SystemRunner, start
from bedplate.testing.vm.ends import read_ends

pytestmark = pytest.mark.vm

RUNNER, CLOCK = SystemRunner(), SystemClock()
UP_SECONDS = 3600.0
MACHINE = "system-1"
COMMAND = ("env", "--default-signal=INT", sys.executable, "-m", "bedplate.cli")
"""A shell that starts pytest in the background makes it, and so the command, ignore Ctrl-C."""


@dataclass(frozen=True)
class Yard:
    """A cluster of one node with a state folder of its own."""

    state: Path
    ports: tuple[str, ...]
    up: tuple[str, ...] = ("cluster", "up", "--nodes=1")

    @property
    def env(self) -> dict[str, str]:
        return {"XDG_STATE_HOME": str(self.state)}

    @property
    def cell_lock(self) -> Path:
        return self.state / "bedplate/clusters/local/cell/cell.lock"

    def bedplate(self, *arguments: str) -> Completed:
        return RUNNER.run([*COMMAND, *arguments], env=self.env, ok=range(256), seconds=UP_SECONDS)

    def cut_short(
        self, which: signal.Signals, *, after: str, meanwhile: Callable[[], object] = lambda: None
    ) -> tuple[int, str]:
        """Start `up`, send it a signal once it has said `after`; how it ended and what it said.

        Before that, do what is to be done `meanwhile`.
        """
        log = self.state / f"{which.name}.log"
        log.unlink(missing_ok=True)
        number = start([*COMMAND, *self.up, *self.ports], log=log, env=self.env)
        waited = wait_until(lambda: "" if after in said(log) else after, CLOCK, seconds=UP_SECONDS, every=0.2)
        assert waited.missing == "", said(log)
        meanwhile()
        os.kill(number, which)
        _, status = os.waitpid(number, 0)
        return os.waitstatus_to_exitcode(status), said(log)

    def consoles(self) -> str:
        return read_ends(self.state / "bedplate/clusters/local/machines")

    def power(self) -> dict[str, str]:
        listed = json.loads(self.bedplate("node", "list", "--output=json").stdout)
        return {machine["name"]: machine["state"] for machine in listed}

    def processes(self) -> dict[int, str]:
        """Every process that names the state folder, works in it or keeps a file of it open, but ourselves."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                links = [entry / "cwd", *(entry / "fd").iterdir()]
                places = [line, *(str(link.readlink()) for link in links)]
            except OSError:
                continue
            if int(entry.name) != os.getpid() and any(str(self.state) in place for place in places):
                found[int(entry.name)] = line
        return found

    def of(self, words: str, *, but: str = "no process says this") -> int:
        """The number of the one process whose command line has these words, and not those."""
        (number,) = (number for number, line in self.processes().items() if words in line and but not in line)
        return number


def said(log: Path) -> str:
    return log.read_text(errors="replace") if log.exists() else ""


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    state = tmp_path_factory.mktemp("state")
    with sockets.listen_tcp(0) as api, sockets.listen_tcp(0) as registry:
        ports = (f"--api-port={api.getsockname()[1]}", f"--registry-port={registry.getsockname()[1]}")
    yard = Yard(state, ports)
    try:
        yield yard
    finally:
        yard.bedplate("cluster", "down", "--all")


def test_a_second_up_at_once_is_refused_and_the_first_goes_on(yard: Yard) -> None:
    second = list[Completed]()
    code, _ = yard.cut_short(signal.SIGINT, after="Machines", meanwhile=lambda: second.append(yard.bedplate(*yard.up)))
    assert second[0].code == 2
    assert "(bringing up the local cluster) is in the way." in second[0].stderr.decode()
    assert code == 130


def test_ctrl_c_while_nodes_boot_says_what_runs_on(yard: Yard) -> None:
    code, text = yard.cut_short(signal.SIGINT, after="Machines")
    assert code == 130
    assert "runs on: ./dev up goes on with it, ./dev down stops it." in text
    assert "Traceback" not in text
    assert yard.power() == {MACHINE: "running"}


def test_what_a_killed_up_has_begun_is_gone_on_with(yard: Yard) -> None:
    machine = yard.of("qemu-system")
    code, _ = yard.cut_short(signal.SIGKILL, after="Machines")
    assert code == -signal.SIGKILL
    done = yard.bedplate(*yard.up)
    text = done.stderr.decode()
    assert done.code == 0, text
    assert "(ran already)" in text
    assert "(1 keep)" in text
    assert yard.of("qemu-system") == machine


def test_an_up_on_other_ports_is_refused_and_changes_nothing(yard: Yard) -> None:
    kubeconfig = yard.state / "bedplate/clusters/local/admin.yaml"
    before = kubeconfig.read_bytes()
    done = yard.bedplate("cluster", "up", "--api-port=1")
    assert done.code == 2
    assert "Leave the ports out" in done.stderr.decode()
    assert kubeconfig.read_bytes() == before


def test_a_machine_that_crashed_is_seen_to_be_off(yard: Yard) -> None:
    os.kill(yard.of("qemu-system"), signal.SIGKILL)
    waited = wait_until(lambda: yard.power()[MACHINE].replace("stopped", ""), CLOCK, seconds=20, every=0.5)
    assert waited.missing == ""


def test_with_its_supervisor_the_whole_cell_ends_and_up_brings_it_back(yard: Yard) -> None:
    os.kill(yard.of(" -P -m bedplate.local.cell.supervisor", but="unshare"), signal.SIGKILL)
    assert locks.wait_until_free(yard.cell_lock, seconds=20, clock=CLOCK)
    assert yard.processes() == {}
    assert "not up" in yard.bedplate("node", "list").stderr.decode()
    done = yard.bedplate(*yard.up)
    assert done.code == 0, done.stderr.decode()
    assert "(1 power on)" in done.stderr.decode()
    assert yard.power() == {MACHINE: "running"}


def test_after_down_nothing_is_left_running(yard: Yard) -> None:
    assert yard.bedplate("cluster", "down").code == 0
    assert yard.processes() == {}
    assert not locks.is_held(yard.cell_lock)


def test_after_down_all_nothing_is_left_at_all(yard: Yard) -> None:
    assert yard.bedplate("cluster", "down", "--all").code == 0
    left = {path.name for path in (yard.state / "bedplate").iterdir()} | {
        path.name for path in (yard.state / "bedplate/clusters").iterdir()
    }
    assert left <= {"clusters", "keys", "local.lock", "release"}
