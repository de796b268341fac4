"""From the pools that should be and the machines that are to the list of what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from types import MappingProxyType

from bedplate.local.cell.network import NUMBERS
from bedplate.model.errors import UserError
from bedplate.model.machines import Machine, MachineState
from bedplate.model.pools import NodePool

NONE: Mapping[str, str] = MappingProxyType({})


class Deed(Enum):
    CREATE = "create"
    POWER_ON = "power on"
    DRAIN = "drain"
    DELETE = "delete"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class MachineAction:
    """What to do with one machine, and why; `number` decides its address."""

    deed: Deed
    name: str
    number: int
    pool: str
    reason: str

    @property
    def stays(self) -> bool:
        """Whether there is such a machine afterwards."""
        return self.deed not in (Deed.DRAIN, Deed.DELETE)


def plan_machines(
    pools: Sequence[NodePool], machines: Sequence[Machine], *, lost: Mapping[str, str] = NONE
) -> tuple[MachineAction, ...]:
    """Every machine with what is to become of it, those to be deleted first, so that their numbers come free.

    A pool that shrinks loses the machines with the highest numbers. All that go are drained before the first of
    them is deleted, so that nothing is lost when one cannot be; those that are off are not drained, nor those in
    `lost`, whose nodes are not Ready, each with why: from there no pod would ever be reported gone. Raises
    `UserError` when there are more machines than a cell has addresses.
    """
    wanted = {pool.name: pool.count for pool in pools}
    kept: list[Machine] = []
    going: list[tuple[Machine, str]] = []
    counts = dict.fromkeys(wanted, 0)
    for machine in sorted(machines, key=lambda machine: machine.number):
        if machine.pool not in wanted:
            going.append((machine, f"there is no pool {machine.pool} any more"))
        elif counts[machine.pool] == wanted[machine.pool]:
            going.append((machine, f"pool {machine.pool} has count {wanted[machine.pool]}"))
        else:
            counts[machine.pool] += 1
            kept.append(machine)
    free = _free_numbers({machine.number for machine in kept})
    created = [_create(pool, number) for pool in pools for number in _take(free, pool.count - counts[pool.name])]
    return (
        *(
            _act(Deed.DRAIN, machine, f"before it goes: {why}")
            for machine, why in going
            if not _undrained(machine, lost)
        ),
        *(_act(Deed.DELETE, machine, f"{why}{_undrained(machine, lost)}") for machine, why in going),
        *(_kept(machine) for machine in kept),
        *created,
    )


def _undrained(machine: Machine, lost: Mapping[str, str]) -> str:
    """Why a machine that goes is not drained; empty when it is."""
    if machine.state is MachineState.STOPPED:
        return "; it is off, so not drained"
    if machine.name in lost:
        return f"; its node is not Ready, so not drained ({lost[machine.name]})"
    return ""


def _kept(machine: Machine) -> MachineAction:
    if machine.state is MachineState.STOPPED:
        return _act(Deed.POWER_ON, machine, "it is off")
    return _act(Deed.KEEP, machine, "it runs")


def _act(deed: Deed, machine: Machine, reason: str) -> MachineAction:
    return MachineAction(deed, machine.name, machine.number, machine.pool, reason)


def _create(pool: NodePool, number: int) -> MachineAction:
    return MachineAction(
        Deed.CREATE, f"{pool.name}-{number}", number, pool.name, f"pool {pool.name} has count {pool.count}"
    )


def _free_numbers(taken: set[int]) -> Iterator[int]:
    return (number for number in NUMBERS if number not in taken)


def _take(free: Iterator[int], count: int) -> list[int]:
    taken = list(islice(free, count))
    if len(taken) < count:
        raise UserError(f"A local cluster has at most {len(NUMBERS)} machines.", resolution="Choose a smaller count.")
    return taken
