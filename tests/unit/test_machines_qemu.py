"""The command line of a machine, and how its accelerator is chosen."""

from dataclasses import replace
from pathlib import Path

import pytest

from bedplate.host.run import Completed
from bedplate.local.machines.kvm import PASSED, choose_acceleration, probe_image
from bedplate.local.machines.qemu import Accelerator, Firmware, Resources, argv, fw_cfg_name, machine_uuid
from bedplate.model.errors import MachineError, UserError
from bedplate.testing.runner import FakeRunner, completed

FIRMWARE = Firmware(Path("/ovmf/code.fd"), Path("/ovmf/vars.fd"))
RESOURCES = Resources("worker-1", "tap1", "52:54:00:75:00:0b", 2048, 2, ("system.hostname",))


def line(accelerator: Accelerator = Accelerator.TCG, snapshot: str = "", resources: Resources = RESOURCES) -> str:
    return " ".join(argv(resources, FIRMWARE, accelerator, snapshot=snapshot))


def test_only_firmware_in_management_mode_may_write_variables() -> None:
    assert "q35,smm=on" in line()
    assert "driver=cfi.pflash01,property=secure,value=on" in line()
    assert "node-name=code,read-only=on" in line()


def test_everything_that_a_machine_owns_is_named_relative_to_its_folder() -> None:
    names = {"disk.qcow2", "vars.qcow2", "console.log", "qmp.sock", "credentials/system.hostname"}
    assert all(f"={name}" in line() or f":{name}" in line() for name in names)


def test_the_card_has_the_address_that_dhcp_knows() -> None:
    assert "ifname=tap1,script=no" in line()
    assert "mac=52:54:00:75:00:0b" in line()


def test_a_machine_has_the_same_identity_at_every_boot() -> None:
    assert "-uuid 77013123-76a1-54c5-b47e-67dbfd1bc666" in line()


def test_no_two_machines_have_the_same_identity() -> None:
    machines = [(name, mac) for name in ("a", "b") for mac in ("52:54:00:75:00:0b", "52:54:00:75:00:0c")]
    assert len({machine_uuid(name, mac) for name, mac in machines}) == len(machines)


def test_credentials_come_in_over_fw_cfg() -> None:
    wanted = "name=opt/io.systemd.credentials/system.hostname,file=credentials/system.hostname"
    assert wanted in argv(RESOURCES, FIRMWARE, Accelerator.TCG)


def test_nothing_keeps_a_machine_from_restarting_itself() -> None:
    assert "-no-reboot" not in line()


def test_the_accelerator_decides_the_processor() -> None:
    assert "-accel tcg,thread=multi -cpu max,la57=off,erms=off,fsrm=off" in line(Accelerator.TCG)
    assert "-accel kvm -cpu host" in line(Accelerator.KVM)


def test_a_machine_can_start_from_a_saved_state() -> None:
    assert line(snapshot="ready").endswith("-loadvm ready")
    assert "-loadvm" not in line()


def test_only_a_machine_that_is_to_have_one_gets_a_usb_controller() -> None:
    assert "-device qemu-xhci,id=usb" in line(resources=replace(RESOURCES, usb=True))
    assert "usb" not in line()


@pytest.mark.parametrize("name", ["", "a,b", "a=b", "a/b", "x" * 29])
def test_a_credential_that_qemu_would_misread_is_refused(name: str) -> None:
    with pytest.raises(UserError):
        fw_cfg_name(name)


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "kvm"
    path.touch()
    return path


def test_kvm_is_used_where_the_probe_guest_reached_its_end(device: Path) -> None:
    runner = FakeRunner(lambda command: completed(command, code=PASSED))
    assert choose_acceleration(runner, device=device).kind is Accelerator.KVM


@pytest.mark.parametrize("code", [0, 1, -6, 134])
def test_any_other_end_of_the_probe_means_translation_and_says_why(device: Path, code: int) -> None:
    runner = FakeRunner(lambda command: completed(command, code=code, stderr=b"no SMM here\n"))
    chosen = choose_acceleration(runner, device=device)
    assert chosen.kind is Accelerator.TCG
    assert "no SMM here" in chosen.reason


def test_a_probe_that_hangs_means_translation(device: Path) -> None:
    def hang(command: tuple[str, ...]) -> Completed:
        raise MachineError(f"{command[0]} took more than 3 s.")

    assert "more than 3 s" in choose_acceleration(FakeRunner(hang), device=device).reason


def test_without_the_device_nothing_is_run(tmp_path: Path) -> None:
    runner = FakeRunner()
    assert choose_acceleration(runner, device=tmp_path / "none").kind is Accelerator.TCG
    assert runner.commands == []


def test_the_probe_ends_where_the_processor_begins() -> None:
    image = probe_image()
    assert (len(image), image[-16:-13]) == (65536, bytes.fromhex("9bdbe3"))
