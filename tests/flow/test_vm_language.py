"""The verbs of the VM test language on machines that do not exist."""

from pathlib import Path

import pytest

from bedplate.host.run import Completed
from bedplate.local.cell.lan import Lan
from bedplate.local.machines.provider import LocalProvider
from bedplate.local.machines.qemu import Accelerator, Firmware
from bedplate.testing.cell import FakeCell
from bedplate.testing.clock import FakeClock
from bedplate.testing.monitor import FakeMonitors
from bedplate.testing.runner import FakeRunner, completed
from bedplate.testing.vm.lab import Lab
from bedplate.testing.vm.machine import Vm, VmFailed


def play_programs(command: tuple[str, ...]) -> Completed:
    """What the programs that lay out a machine leave on disk."""
    if command[:2] == ("qemu-img", "create"):
        Path(command[-2]).touch()
    elif command[:2] == ("qemu-img", "convert"):
        Path(command[-1]).touch()
    return completed(command)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def cell() -> FakeCell:
    return FakeCell()


@pytest.fixture
def monitors() -> FakeMonitors:
    return FakeMonitors()


@pytest.fixture
def lab(tmp_path: Path, cell: FakeCell, monitors: FakeMonitors, said: list[str]) -> Lab:
    firmware = Firmware(tmp_path / "code.fd", tmp_path / "vars.fd")
    firmware.variables.touch()
    clock = FakeClock()
    lan, runner = Lan(cell, tmp_path / "lan"), FakeRunner(play_programs)
    machines, templates = tmp_path / "machines", tmp_path / "templates"
    provider = LocalProvider(
        cell, lan, machines, templates, runner, firmware, Accelerator.TCG, connect=monitors, clock=clock
    )
    return Lab(cell, provider, clock, said.append)


@pytest.fixture
def vm(lab: Lab, tmp_path: Path) -> Vm:
    image = tmp_path / "image"
    image.mkdir()
    (image / "disk.raw").touch()
    (image / "db.crt").touch()
    return lab.boot(image)


def write(vm: Vm, text: str) -> None:
    with vm.provider.console(vm.name).open("a") as console:
        console.write(text)


def test_a_wait_ends_with_what_was_found(vm: Vm) -> None:
    write(vm, "Welcome to Bedplate\n")
    assert vm.wait_for("Welcome", seconds=1)[0] == "Welcome"


def test_a_wait_that_is_in_vain_ends_with_the_end_of_the_console(vm: Vm) -> None:
    write(vm, "Starting slowly\n")
    with pytest.raises(VmFailed, match=r"'Welcome' within 5 s\. Its console ends so:\nStarting slowly"):
        vm.wait_for("Welcome", seconds=5)
    assert vm.clock.monotonic() == pytest.approx(5, abs=0.5)


def test_trouble_ends_a_wait_at_once(vm: Vm) -> None:
    write(vm, "Kernel panic - not syncing: nothing works\n")
    with pytest.raises(VmFailed, match="vm1 is in trouble, kernel panic: Kernel panic - not syncing"):
        vm.wait_for("Welcome", seconds=600)
    assert vm.clock.monotonic() < 1


def test_trouble_before_what_was_wanted_counts_too(vm: Vm) -> None:
    write(vm, "[FAILED] Failed to start kubelet.service\nWelcome\n")
    with pytest.raises(VmFailed, match="failed unit"):
        vm.wait_for("Welcome", seconds=1)


def test_a_test_may_announce_trouble(vm: Vm) -> None:
    vm.announce("kernel panic")
    write(vm, "Kernel panic - not syncing: as asked\n")
    assert vm.wait_for("as asked", seconds=1)[0] == "as asked"
    vm.expect_no_trouble()


def test_only_known_trouble_can_be_announced(vm: Vm) -> None:
    with pytest.raises(ValueError, match="kernel pancake"):
        vm.announce("kernel pancake")


def test_a_machine_that_ended_is_not_waited_for(vm: Vm, cell: FakeCell) -> None:
    cell.end("machine-vm1", 1)
    with pytest.raises(VmFailed, match="vm1 stopped before it showed 'Welcome'"):
        vm.wait_for("Welcome", seconds=600)


def test_what_a_machine_wrote_before_it_ended_counts(vm: Vm, cell: FakeCell) -> None:
    write(vm, "Welcome\n")
    cell.end("machine-vm1", 1)
    assert vm.wait_for("Welcome", seconds=1)[0] == "Welcome"


def test_a_wait_for_something_else_ends_when_nothing_is_missing(vm: Vm) -> None:
    left = ["two things", "one thing", ""]
    vm.wait_while(lambda: left.pop(0), seconds=9)
    assert left == []


def test_a_wait_for_something_else_names_it_and_ends_with_the_console(vm: Vm) -> None:
    write(vm, "Lost\n")
    with pytest.raises(VmFailed, match=r"5 s of vm1, a friend is missing\. Its console ends so:\nLost"):
        vm.wait_while(lambda: "a friend is missing", seconds=5)


def test_trouble_and_the_end_of_the_machine_end_such_a_wait_too(vm: Vm, cell: FakeCell) -> None:
    write(vm, "Kernel panic - not syncing\n")
    with pytest.raises(VmFailed, match="in trouble, kernel panic"):
        vm.wait_while(lambda: "a friend is missing", seconds=600)
    vm.announce("kernel panic")
    cell.end("machine-vm1", 1)
    with pytest.raises(VmFailed, match="vm1 stopped, and a friend is missing"):
        vm.wait_while(lambda: "a friend is missing", seconds=600)
    assert vm.clock.monotonic() < 1


@pytest.mark.parametrize("again", ["reset", "crash and switch on", "restore"])
def test_a_new_start_begins_a_new_console(vm: Vm, again: str) -> None:
    vm.save("early")
    write(vm, "Welcome\n")
    if again == "reset":
        vm.reset()
    elif again == "restore":
        vm.restore("early")
    else:
        vm.crash()
        vm.switch_on()
    assert vm.console() == ""
    vm.expect_never_shown("Welcome")


def test_what_was_never_to_be_shown_is_told(vm: Vm) -> None:
    write(vm, "login: \n")
    with pytest.raises(VmFailed, match="vm1 showed 'login:'"):
        vm.expect_never_shown("login:")


def test_a_crash_takes_the_process_and_leaves_the_machine(vm: Vm, cell: FakeCell) -> None:
    vm.crash()
    assert cell.specs == {}
    vm.switch_on()
    assert "machine-vm1" in cell.specs


def test_a_stopped_machine_leaves_nothing(vm: Vm, cell: FakeCell) -> None:
    vm.stop()
    assert (cell.specs, list(vm.provider.list()), cell.devices) == ({}, [], {"lo"})


def test_the_network_is_cut_and_mended_at_the_far_end(vm: Vm, cell: FakeCell) -> None:
    vm.cut_network()
    vm.mend_network()
    assert cell.commands[-2:] == [("ip", "link", "set", "tap1", "down"), ("ip", "link", "set", "tap1", "up")]


def test_saving_and_restoring_go_to_the_machine(vm: Vm, monitors: FakeMonitors) -> None:
    vm.save("ready")
    vm.restore("ready")
    assert monitors.said[-2:] == [("vm1", "save ready vars disk"), ("vm1", "restore ready vars disk")]


def test_a_machine_that_is_off_is_restored_by_starting_it_there(vm: Vm, cell: FakeCell) -> None:
    vm.crash()
    vm.restore("ready")
    assert cell.specs["machine-vm1"].argv[-2:] == ("-loadvm", "ready")


def test_the_ends_of_all_consoles_are_at_hand(vm: Vm, lab: Lab) -> None:
    write(vm, "\x1b[0mWelcome\n")
    assert lab.consoles() == "--- console of vm1\nWelcome"


def test_every_step_is_told(vm: Vm, said: list[str]) -> None:
    write(vm, "Welcome\n")
    vm.wait_for("Welcome", seconds=9)
    vm.reset()
    assert said[1:] == [
        "Wait at most 9 s for 'Welcome' on the console of vm1.",
        "vm1 showed it after 0.0 s.",
        "Reset vm1.",
    ]
