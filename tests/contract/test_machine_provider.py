"""What every machine provider does, the fake one included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bedplate.host.run import Completed
from bedplate.local.cell.lan import Lan
from bedplate.local.machines.provider import LocalProvider
from bedplate.local.machines.qemu import Accelerator, Firmware
from bedplate.model.errors import UserError
from bedplate.model.machines import Machine, MachineOrder, MachineProvider, MachineState, Power
from bedplate.testing.cell import FakeCell
from bedplate.testing.clock import FakeClock
from bedplate.testing.machines import FakeProvider
from bedplate.testing.monitor import FakeMonitors
from bedplate.testing.runner import FakeRunner, completed

MADE = Machine("system-1", 1, "system", "10.75.0.11", MachineState.RUNNING)


def play_programs(command: tuple[str, ...]) -> Completed:
    """What the programs that lay out a machine leave on disk."""
    if command[:2] == ("qemu-img", "create"):
        Path(command[-2]).write_bytes(b"overlay")
    elif command[:2] == ("qemu-img", "convert"):
        Path(command[-1]).write_bytes(b"variables")
    return completed(command)


def local(folder: Path) -> MachineProvider:
    cell, firmware = FakeCell(), Firmware(folder / "code.fd", folder / "vars.fd")
    firmware.variables.write_bytes(b"empty store")
    return LocalProvider(
        cell=cell,
        lan=Lan(cell, folder / "lan"),
        folder=folder / "machines",
        templates=folder / "templates",
        runner=FakeRunner(play_programs),
        firmware=firmware,
        accelerator=Accelerator.TCG,
        connect=FakeMonitors(),
        clock=FakeClock(),
    )


def fake(folder: Path) -> MachineProvider:
    del folder
    return FakeProvider()


@pytest.fixture(params=[local, fake])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> MachineProvider:
    make: Callable[[Path], MachineProvider] = request.param
    return make(tmp_path)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    folder = tmp_path / "image"
    folder.mkdir()
    for name in ("disk.raw", "db.crt"):
        (folder / name).touch()
    return folder


def order(image: Path, number: int = 1, name: str = "system-1") -> MachineOrder:
    return MachineOrder(number=number, name=name, pool="system", image=image, credentials={})


def test_at_first_there_are_none(provider: MachineProvider) -> None:
    assert list(provider.list()) == []


def test_a_created_machine_runs_and_has_its_address(provider: MachineProvider, image: Path) -> None:
    assert provider.create(order(image)) == MADE
    assert list(provider.list()) == [MADE]


def test_machines_are_listed_by_number(provider: MachineProvider, image: Path) -> None:
    for number, name in ((10, "b-10"), (2, "c-2"), (9, "a-9")):
        provider.create(order(image, number, name))
    assert [machine.number for machine in provider.list()] == [2, 9, 10]


@pytest.mark.parametrize(("number", "name"), [(1, "other"), (2, "system-1")])
def test_a_name_or_number_is_given_once(provider: MachineProvider, image: Path, number: int, name: str) -> None:
    provider.create(order(image))
    with pytest.raises(UserError, match="machine system-1 with number 1 already"):
        provider.create(order(image, number, name))
    assert list(provider.list()) == [MADE]


def test_a_deleted_machine_is_gone_and_its_name_and_number_are_free(provider: MachineProvider, image: Path) -> None:
    provider.create(order(image))
    provider.delete("system-1")
    assert list(provider.list()) == []
    assert provider.create(order(image)) == MADE


def test_a_machine_that_is_switched_off_is_still_there(provider: MachineProvider, image: Path) -> None:
    provider.create(order(image))
    provider.power("system-1", Power.OFF)
    assert [machine.state for machine in provider.list()] == [MachineState.STOPPED]


@pytest.mark.parametrize("power", [Power.ON, Power.RESET])
@pytest.mark.parametrize("before", [Power.ON, Power.OFF])
def test_on_and_reset_both_end_with_a_machine_that_runs(
    provider: MachineProvider, image: Path, power: Power, before: Power
) -> None:
    provider.create(order(image))
    provider.power("system-1", before)
    assert provider.power("system-1", power) == MADE
    assert list(provider.list()) == [MADE]


def test_a_reimaged_machine_runs_under_its_name_and_number(provider: MachineProvider, image: Path) -> None:
    provider.create(order(image))
    provider.power("system-1", Power.OFF)
    assert provider.reimage(order(image)) == MADE


def test_a_machine_is_not_given_another_number_by_reimaging_it(provider: MachineProvider, image: Path) -> None:
    provider.create(order(image))
    with pytest.raises(UserError, match="has number 1, not 2"):
        provider.reimage(order(image, 2))
    assert list(provider.list()) == [MADE]


def test_an_unknown_machine_is_named(provider: MachineProvider, image: Path) -> None:
    for call in (
        lambda: provider.delete("ghost"),
        lambda: provider.power("ghost", Power.ON),
        lambda: provider.equip("ghost", {}),
        lambda: provider.reimage(order(image, name="ghost")),
    ):
        with pytest.raises(UserError, match="There is no machine ghost"):
            call()
