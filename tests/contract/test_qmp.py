"""The monitor client against a real QEMU that has no machine in it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.host.children import SystemChildren
from bedplate.host.clock import SystemClock
from bedplate.local.machines.qmp import Monitor
from bedplate.local.machines.starting import await_monitor
from bedplate.model.errors import MachineError

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86 is not installed")


@pytest.fixture
def socket(tmp_path: Path) -> Iterator[Path]:
    argv = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-machine", "none"]
    children = SystemChildren()
    argv += ["-qmp", "unix:qmp.sock,server=on,wait=off"]
    number = children.start(argv, cwd=tmp_path, env={}, log=tmp_path / "qemu.log")
    clock = SystemClock()
    # The socket is there a moment before anybody listens on it.
    await_monitor(
        Monitor, tmp_path / "qmp.sock", runs=lambda: not children.reap(), log=tmp_path / "qemu.log", clock=clock
    )
    yield tmp_path / "qmp.sock"
    children.kill(number)
    while not children.reap():
        clock.sleep(0.01)


def ask_for_ever(monitor: Monitor) -> None:
    """A machine that was told to end may still answer once or twice."""
    while True:
        monitor.status()


def test_the_run_state_is_told(socket: Path) -> None:
    with Monitor(socket) as monitor:
        assert monitor.status() == "running"


def test_events_between_answers_are_passed_over(socket: Path) -> None:
    with Monitor(socket) as monitor:
        monitor.execute("stop")
        assert monitor.status() == "paused"
        monitor.execute("cont")
        assert monitor.status() == "running"


def test_a_refusal_is_an_error_with_its_reason(socket: Path) -> None:
    with Monitor(socket) as monitor, pytest.raises(MachineError) as caught:
        monitor.execute("make-coffee")
    assert "CommandNotFound" in caught.value.details


def test_a_background_job_that_fails_is_an_error(socket: Path) -> None:
    with Monitor(socket) as monitor:
        for _ in range(2):  # the failed job is dismissed, so its name is free again
            with pytest.raises(MachineError, match="snapshot-save failed"):
                monitor.save("ready", ("disk",))


def test_nobody_listening_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="does not answer"):
        Monitor(tmp_path / "qmp.sock")


def test_a_machine_that_ends_is_an_error(socket: Path) -> None:
    with Monitor(socket) as monitor:
        monitor.quit()
        with pytest.raises(MachineError, match="did not answer"):
            ask_for_ever(monitor)
