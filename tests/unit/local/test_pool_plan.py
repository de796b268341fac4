"""Which machines are made, woken, kept and removed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.local.cell.network import NUMBERS, address
from bedplate.local.pools.plan import Deed, MachineAction, plan_machines
from bedplate.model.errors import UserError
from bedplate.model.machines import Machine, MachineState
from bedplate.model.pools import NodePool

VERSION = "Bedplate-1.37-amd64-202611.24.0"


def pool(name: str, count: int) -> NodePool:
    return NodePool(name=name, node_image_version=VERSION, orchestrator_version="1.37", count=count)


def machine(number: int, pool: str = "system", state: MachineState = MachineState.RUNNING) -> Machine:
    return Machine(f"{pool}-{number}", number, pool, address(number), state)


def test_a_new_pool_gets_the_lowest_numbers_that_are_free() -> None:
    plan = plan_machines([pool("system", 2), pool("burst", 2)], [machine(1), machine(3)])
    assert plan == (
        MachineAction(Deed.KEEP, "system-1", 1, "system", "it runs"),
        MachineAction(Deed.KEEP, "system-3", 3, "system", "it runs"),
        MachineAction(Deed.CREATE, "burst-2", 2, "burst", "pool burst has count 2"),
        MachineAction(Deed.CREATE, "burst-4", 4, "burst", "pool burst has count 2"),
    )


def test_a_pool_that_shrinks_loses_its_newest_machine_first() -> None:
    plan = plan_machines([pool("system", 1)], [machine(2), machine(1)])
    assert plan == (
        MachineAction(Deed.DRAIN, "system-2", 2, "system", "before it goes: pool system has count 1"),
        MachineAction(Deed.DELETE, "system-2", 2, "system", "pool system has count 1"),
        MachineAction(Deed.KEEP, "system-1", 1, "system", "it runs"),
    )


def test_machines_of_a_pool_that_is_gone_go_too() -> None:
    drain, delete = plan_machines([], [machine(1, "burst")])
    assert (drain.deed, drain.reason) == (Deed.DRAIN, "before it goes: there is no pool burst any more")
    assert (delete.deed, delete.reason) == (Deed.DELETE, "there is no pool burst any more")


def test_all_nodes_are_drained_before_the_first_machine_goes() -> None:
    plan = plan_machines([pool("system", 1)], [machine(1), machine(2), machine(3)])
    assert [(action.deed, action.number) for action in plan] == [
        (Deed.DRAIN, 2),
        (Deed.DRAIN, 3),
        (Deed.DELETE, 2),
        (Deed.DELETE, 3),
        (Deed.KEEP, 1),
    ]


def test_a_machine_that_is_off_goes_undrained() -> None:
    (action,) = plan_machines([], [machine(1, state=MachineState.STOPPED)])
    assert action.deed is Deed.DELETE
    assert action.reason == "there is no pool system any more; it is off, so not drained"


def test_a_node_that_is_not_ready_goes_undrained() -> None:
    (action,) = plan_machines([], [machine(1)], lost={"system-1": "has not joined yet"})
    assert action.deed is Deed.DELETE
    assert action.reason.endswith("; its node is not Ready, so not drained (has not joined yet)")


def test_a_node_that_stays_is_not_drained_for_being_lost() -> None:
    (action,) = plan_machines([pool("system", 1)], [machine(1)], lost={"system-1": "lost"})
    assert (action.deed, action.stays) == (Deed.KEEP, True)


def test_a_machine_that_is_off_is_switched_on() -> None:
    (action,) = plan_machines([pool("system", 1)], [machine(1, state=MachineState.STOPPED)])
    assert (action.deed, action.reason) == (Deed.POWER_ON, "it is off")


def test_more_machines_than_addresses_are_refused() -> None:
    with pytest.raises(UserError, match="at most 200"):
        plan_machines([pool("system", len(NUMBERS) + 1)], [])


@given(
    counts=st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 6)),
    there=st.dictionaries(st.integers(1, 20), st.sampled_from(["a", "b", "c", "gone"])),
)
def test_every_pool_ends_with_its_count_and_no_number_is_given_twice(
    counts: dict[str, int], there: dict[int, str]
) -> None:
    plan = plan_machines(
        [pool(name, count) for name, count in counts.items()], [machine(n, name) for n, name in there.items()]
    )
    alive = [action for action in plan if action.stays]
    assert {action.name for action in plan if action.deed is Deed.DRAIN} == {
        action.name for action in plan if action.deed is Deed.DELETE
    }
    assert {name: sum(action.pool == name for action in alive) for name in counts} == counts
    assert len({action.number for action in alive}) == len(alive)
    assert {action.name for action in plan} >= {f"{name}-{number}" for number, name in there.items()}
