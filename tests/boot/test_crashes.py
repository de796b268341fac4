"""Whatever ends, and however: nothing runs on unseen, and the next command goes on from there."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from bedplate.host.clock import SystemClock, wait_until
from bedplate.image.build import Image
from bedplate.local.machines.provider import LocalProvider
from bedplate.model.machines import MachineOrder, MachineState, Power

pytestmark = pytest.mark.vm


def test_a_machine_that_is_killed_is_shown_as_stopped_and_can_be_switched_on(
    provider: LocalProvider, image: Image, tmp_path: Path
) -> None:
    provider.create(MachineOrder(number=1, name="n1", pool="p", image=image.folder, credentials={}))
    os.kill(process_in(tmp_path / "machines/n1"), signal.SIGKILL)

    def still() -> str:
        (machine,) = provider.list()
        return "" if machine.state is MachineState.STOPPED else machine.state.value

    assert wait_until(still, SystemClock(), seconds=10, every=0.1).missing == ""
    assert provider.power("n1", Power.ON).state is MachineState.RUNNING


def process_in(folder: Path) -> int:
    """The one process whose working folder that is."""
    found = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit() and works_in(each, folder)]
    (number,) = found
    return number


def works_in(process: Path, folder: Path) -> bool:
    try:
        return (process / "cwd").readlink() == folder
    except OSError:
        return False
