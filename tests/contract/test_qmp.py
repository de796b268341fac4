"""The monitor client against a real QEMU that has no machine in it, or one that has not been started."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from bedplate.host.children import SystemChildren
from bedplate.host.clock import SystemClock
from bedplate.local.machines.qmp import Monitor
from bedplate.local.machines.starting import await_monitor
from bedplate.model.errors import MachineError

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86 is not installed")


NO_MACHINE = ("-machine", "none")
WITH_USB = ("-machine", "q35", "-S", "-device", "qemu-xhci,id=usb")


@pytest.fixture
def socket(tmp_path: Path) -> Iterator[Path]:
    with qemu(tmp_path, NO_MACHINE) as opened:
        yield opened


@contextmanager
def qemu(tmp_path: Path, machine: Sequence[str]) -> Iterator[Path]:
    argv = ["qemu-system-x86_64", "-nodefaults", "-display", "none", *machine]
    argv += ["-qmp", "unix:qmp.sock,server=on,wait=off"]
    children = SystemChildren()
    number = children.start(argv, cwd=tmp_path, env={}, log=tmp_path / "qemu.log")
    clock = SystemClock()
    socket, log = tmp_path / "qmp.sock", tmp_path / "qemu.log"
    try:
        # The socket is there a moment before anybody listens on it.
        await_monitor(Monitor, socket, runs=lambda: not children.reap(), log=log, clock=clock)
        yield socket
    finally:
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


def test_a_stick_can_be_plugged_in_again_after_it_was_pulled_out(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.write_bytes(bytes(1 << 20))
    with qemu(tmp_path, WITH_USB) as opened, Monitor(opened) as monitor:
        for _ in range(2):
            monitor.plug_in(stick)
            assert "stick" in str(monitor.execute("query-block"))
            monitor.pull_out()
            assert "stick" not in str(monitor.execute("query-block"))


def test_a_machine_without_a_controller_takes_no_stick(socket: Path, tmp_path: Path) -> None:
    (tmp_path / "stick").write_bytes(bytes(1 << 20))
    with Monitor(socket) as monitor, pytest.raises(MachineError, match="refused device_add"):
        monitor.plug_in(tmp_path / "stick")


def test_nobody_listening_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="does not answer"):
        Monitor(tmp_path / "qmp.sock")


def test_a_machine_that_ends_is_an_error(socket: Path) -> None:
    with Monitor(socket) as monitor:
        monitor.quit()
        with pytest.raises(MachineError, match="did not answer"):
            ask_for_ever(monitor)
