"""Whatever ends, and however: nothing runs on unseen, and the next command goes on from there."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from bedplate.host.clock import SystemClock, wait_until
from bedplate.model.machines import MachineState
from bedplate.testing.ready import ReadyNode

pytestmark = pytest.mark.vm


def test_a_machine_that_is_killed_is_shown_as_stopped_and_is_ready_again_once_switched_on(ready: ReadyNode) -> None:
    provider, boot = ready.vm.provider, ready.boot_id()
    os.kill(process_in(provider.folder / ready.name), signal.SIGKILL)

    def still() -> str:
        (machine,) = provider.list()
        return "" if machine.state is MachineState.STOPPED else machine.state.value

    assert wait_until(still, SystemClock(), seconds=10, every=0.1).missing == ""
    ready.vm.switch_on()
    ready.wait_for_next_boot(after=boot)


def test_a_node_whose_network_was_cut_is_ready_again_once_it_is_mended(ready: ReadyNode) -> None:
    ready.vm.cut_network()
    ready.kubectl("wait", f"node/{ready.name}", "--for=condition=Ready=Unknown", "--timeout=180s")
    ready.vm.mend_network()
    ready.kubectl("wait", f"node/{ready.name}", "--for=condition=Ready", "--timeout=180s")


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
