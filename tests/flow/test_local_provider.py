"""The local machine provider on a cell in memory: folders, processes and network devices go together."""

from pathlib import Path

import pytest

from bedplate.host.run import Completed
from bedplate.local.cell.lan import Lan
from bedplate.local.machines.provider import LocalProvider
from bedplate.local.machines.qemu import Accelerator, Firmware
from bedplate.model.errors import MachineError, UserError
from bedplate.model.machines import Machine, MachineOrder, MachineState, Power
from bedplate.testing.cell import FakeCell
from bedplate.testing.clock import FakeClock
from bedplate.testing.monitor import FakeMonitors
from bedplate.testing.runner import FakeRunner, completed

SECRET = b"bootstrap token"


def play_programs(command: tuple[str, ...]) -> Completed:
    """What the programs that lay out a machine leave on disk."""
    if command[:2] == ("qemu-img", "create"):
        Path(command[-2]).write_bytes(b"overlay of " + command[-3].encode())
    elif command[:2] == ("qemu-img", "convert"):
        Path(command[-1]).write_bytes(b"variables")
    return completed(command)


@pytest.fixture
def cell() -> FakeCell:
    return FakeCell()


@pytest.fixture
def monitors() -> FakeMonitors:
    return FakeMonitors()


@pytest.fixture
def provider(tmp_path: Path, cell: FakeCell, monitors: FakeMonitors) -> LocalProvider:
    firmware = Firmware(tmp_path / "code.fd", tmp_path / "vars.fd")
    firmware.variables.write_bytes(b"empty store")
    return LocalProvider(
        cell=cell,
        lan=Lan(cell, tmp_path / "lan"),
        folder=tmp_path / "machines",
        templates=tmp_path / "templates",
        runner=FakeRunner(play_programs),
        firmware=firmware,
        accelerator=Accelerator.TCG,
        connect=monitors,
        clock=FakeClock(),
    )


@pytest.fixture
def image(tmp_path: Path) -> Path:
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "disk.raw").write_bytes(b"disk")
    (folder / "db.crt").write_bytes(b"certificate")
    return folder


def order(image: Path, number: int = 1, name: str = "system-1") -> MachineOrder:
    return MachineOrder(
        number=number, name=name, pool="system", image=image, credentials={"bedplate.kubelet-bootstrap": SECRET}
    )


def test_a_created_machine_runs_and_has_its_address(provider: LocalProvider, image: Path, cell: FakeCell) -> None:
    made = provider.create(order(image))
    assert made == Machine("system-1", 1, "system", "10.75.0.11", MachineState.RUNNING)
    assert list(provider.list()) == [made]
    assert (list(cell.specs), cell.devices) == (["machine-system-1"], {"lo", "tap1"})


def test_secrets_are_for_their_owner_alone_and_not_in_the_record(provider: LocalProvider, image: Path) -> None:
    provider.create(order(image))
    folder = provider.folder / "system-1"
    secret = folder / "credentials/bedplate.kubelet-bootstrap"
    assert (secret.read_bytes(), secret.stat().st_mode & 0o777) == (SECRET, 0o600)
    assert (folder / "credentials").stat().st_mode & 0o777 == 0o700
    assert folder.stat().st_mode & 0o777 == 0o700  # and with it the disk, whose files QEMU makes for all to read
    assert SECRET not in (folder / "machine.json").read_bytes()


def test_a_machine_that_is_equipped_starts_with_what_it_was_given_last(
    provider: LocalProvider, image: Path, cell: FakeCell
) -> None:
    provider.create(order(image))
    provider.power("system-1", Power.OFF)
    provider.equip("system-1", {"bedplate.kubelet-bootstrap": b"newer token"})
    provider.power("system-1", Power.ON)
    secret = provider.folder / "system-1/credentials/bedplate.kubelet-bootstrap"
    assert (secret.read_bytes(), secret.stat().st_mode & 0o777) == (b"newer token", 0o600)
    assert any("bedplate.kubelet-bootstrap" in part for part in cell.specs["machine-system-1"].argv)


def test_a_machine_is_not_given_a_credential_that_it_was_made_without(provider: LocalProvider, image: Path) -> None:
    provider.create(order(image))
    with pytest.raises(UserError, match="made without a credential other"):
        provider.equip("system-1", {"other": b""})
    assert not (provider.folder / "system-1/credentials/other").exists()


def test_a_deleted_machine_leaves_nothing(provider: LocalProvider, image: Path, cell: FakeCell) -> None:
    provider.create(order(image))
    provider.delete("system-1")
    assert list(provider.folder.iterdir()) == []
    assert (cell.specs, cell.devices, list(provider.list())) == ({}, {"lo"}, [])


def test_a_machine_that_cannot_start_leaves_nothing(provider: LocalProvider, image: Path, cell: FakeCell) -> None:
    cell.missing.add("qemu-system-x86_64")
    with pytest.raises(MachineError, match="cannot be started"):
        provider.create(order(image))
    assert (list(provider.list()), cell.devices) == ([], {"lo"})


def test_a_machine_is_made_when_it_has_answered(provider: LocalProvider, image: Path, monitors: FakeMonitors) -> None:
    monitors.silent = 3
    provider.create(order(image))
    assert monitors.silent == 0


def test_a_machine_that_ends_at_once_says_why_and_leaves_nothing(
    provider: LocalProvider, image: Path, cell: FakeCell, monitors: FakeMonitors
) -> None:
    monitors.silent = 1
    cell.short_lived.add("qemu-system-x86_64")
    with pytest.raises(MachineError, match="QEMU ended at once"):
        provider.create(order(image))
    assert (list(provider.list()), cell.list(), cell.devices) == ([], (), {"lo"})


def test_a_machine_that_never_answers_is_given_up(provider: LocalProvider, image: Path, monitors: FakeMonitors) -> None:
    monitors.silent = 100_000
    with pytest.raises(MachineError, match="does not answer"):
        provider.create(order(image))
    assert list(provider.list()) == []


def test_reset_save_and_restore_go_to_the_machine_itself(
    provider: LocalProvider, image: Path, monitors: FakeMonitors
) -> None:
    provider.create(order(image))
    provider.power("system-1", Power.RESET)
    provider.save("system-1", "ready")
    provider.restore("system-1", "ready")
    said = [command for name, command in monitors.said if name == "system-1"]
    assert said == ["reset", "save ready vars disk", "restore ready vars disk"]


def test_a_folder_that_is_no_image_is_refused(provider: LocalProvider, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not an image"):
        provider.create(order(tmp_path))
    assert not provider.folder.exists()


def test_a_machine_whose_process_ended_is_stopped(provider: LocalProvider, image: Path, cell: FakeCell) -> None:
    provider.create(order(image))
    cell.end("machine-system-1", 0)
    assert [machine.state for machine in provider.list()] == [MachineState.STOPPED]


def test_power_off_and_on_keep_the_disk(provider: LocalProvider, image: Path, cell: FakeCell) -> None:
    provider.create(order(image))
    disk = provider.folder / "system-1/disk.qcow2"
    disk.write_bytes(b"what the machine wrote")
    assert provider.power("system-1", Power.OFF).state is MachineState.STOPPED
    assert provider.power("system-1", Power.ON).state is MachineState.RUNNING
    assert disk.read_bytes() == b"what the machine wrote"
    assert list(cell.specs) == ["machine-system-1"]


def test_a_machine_that_is_refitted_is_another_from_its_next_start_on(
    provider: LocalProvider, image: Path, cell: FakeCell
) -> None:
    provider.create(order(image))
    provider.power("system-1", Power.OFF)
    provider.refit("system-1", memory_mb=3072, usb=True)
    provider.refit("system-1")
    provider.power("system-1", Power.ON)
    line = " ".join(cell.specs["machine-system-1"].argv)
    assert "-m 3072" in line
    assert "qemu-xhci" in line


def test_a_machine_that_runs_is_not_refitted(provider: LocalProvider, image: Path) -> None:
    provider.create(order(image))
    with pytest.raises(UserError, match="Machine system-1 runs"):
        provider.refit("system-1", memory_mb=3072)


def test_switching_on_a_machine_that_runs_changes_nothing(provider: LocalProvider, image: Path, cell: FakeCell) -> None:
    provider.create(order(image))
    before = dict(cell.specs)
    provider.power("system-1", Power.ON)
    assert cell.specs == before


def test_a_reimaged_machine_keeps_nothing_but_its_name_and_number(provider: LocalProvider, image: Path) -> None:
    provider.create(order(image))
    disk = provider.folder / "system-1/disk.qcow2"
    disk.write_bytes(b"what the machine wrote")
    provider.reimage(order(image))
    assert disk.read_bytes().startswith(b"overlay of")


def test_machines_come_back_when_a_new_cell_is_opened(provider: LocalProvider, image: Path, cell: FakeCell) -> None:
    provider.create(order(image))
    cell.specs.clear()
    cell.devices = {"lo"}
    assert [machine.state for machine in provider.list()] == [MachineState.STOPPED]
    provider.power("system-1", Power.ON)
    assert cell.devices == {"lo", "tap1"}


def test_the_enrolled_variables_are_made_once_for_a_certificate(provider: LocalProvider, image: Path) -> None:
    provider.create(order(image))
    provider.create(order(image, 2, "system-2"))
    runner = provider.runner
    assert isinstance(runner, FakeRunner)
    assert sum("virt.firmware.vars" in command for command in runner.commands) == 1
