"""Whatever ends, and however: nothing runs on unseen, and the next command goes on from there."""

from __future__ import annotations

import pytest

from bedplate.host.clock import SystemClock, wait_until
from bedplate.model.machines import MachineState
from bedplate.testing.ready import ReadyNode
from bedplate.testing.vm.processes import kill_in

pytestmark = pytest.mark.vm


def test_a_machine_that_is_killed_is_shown_as_stopped_and_is_ready_again_once_switched_on(ready: ReadyNode) -> None:
    provider, boot = ready.vm.provider, ready.boot_id()
    kill_in(provider.folder / ready.name)

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
