"""What is told of a pool's state, crossed from its machines, their nodes, and whether a command is at work."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest

from bedplate.local.pools.states import PowerCode, ProvisioningState, shown
from bedplate.model.machines import Machine, MachineState
from bedplate.model.pools import NodePool

POOL = NodePool(name="np", node_image_version="Bedplate-1.37-amd64-202611.24.0", orchestrator_version="1.37.2", count=2)
ONE, TWO = (Machine(f"np-{n}", n, "np", f"10.75.0.1{n}", MachineState.RUNNING) for n in (1, 2))
OTHER = Machine("x-3", 3, "x", "10.75.0.13", MachineState.RUNNING)
OFF = MachineState.STOPPED
RUNNING, STOPPED = PowerCode.RUNNING, PowerCode.STOPPED
SUCCEEDED, FAILED, UNKNOWN = ProvisioningState.SUCCEEDED, ProvisioningState.FAILED, ProvisioningState.UNKNOWN


@pytest.mark.parametrize(
    ("machines", "lost", "state", "power", "ready"),
    [
        ([ONE, TWO], (), SUCCEEDED, RUNNING, 2),
        ([ONE, TWO], ("np-2",), FAILED, RUNNING, 1),
        ([ONE, TWO], None, UNKNOWN, RUNNING, None),
        ([ONE, replace(TWO, state=OFF)], (), FAILED, RUNNING, 1),
        ([replace(ONE, state=OFF), replace(TWO, state=OFF)], (), FAILED, STOPPED, 0),
        ([ONE], (), FAILED, RUNNING, 1),
        ([ONE], None, FAILED, RUNNING, None),
        ([ONE, OTHER], (), FAILED, RUNNING, 1),
        ([], (), FAILED, STOPPED, 0),
    ],
)
def test_a_pool_is_judged_by_its_machines_and_their_nodes(
    machines: list[Machine], lost: tuple[str, ...] | None, state: ProvisioningState, power: PowerCode, ready: int | None
) -> None:
    found = shown(POOL, machines, lost, changing=False)
    assert (found.provisioning_state, found.power_state.code, found.ready_count) == (state, power, ready)


def test_a_machine_too_many_is_not_what_the_pool_says() -> None:
    assert shown(msgspec.structs.replace(POOL, count=1), [ONE, TWO], (), changing=False).provisioning_state is FAILED


def test_an_empty_pool_is_all_that_it_should_be() -> None:
    found = shown(msgspec.structs.replace(POOL, count=0), [OTHER], (), changing=False)
    assert (found.provisioning_state, found.power_state.code, found.ready_count) == (SUCCEEDED, RUNNING, 0)


def test_while_a_command_is_at_work_nothing_has_failed() -> None:
    assert shown(POOL, [], None, changing=True).provisioning_state is ProvisioningState.UPDATING


def test_in_json_the_pool_is_whole_and_in_the_words_of_the_api() -> None:
    document = json.loads(msgspec.json.encode(shown(POOL, [ONE, TWO], (), changing=False)))
    assert document.items() >= json.loads(msgspec.json.encode(POOL)).items()
    assert (document["provisioningState"], document["powerState"]) == ("Succeeded", {"code": "Running"})
    assert document["readyCount"] == 2
