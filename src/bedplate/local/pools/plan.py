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
from bedplate.model.plans import Action, Verb
from bedplate.model.pools import NodePool, PoolMode

FIRST_POOL, JOINED_POOL = "system", "joined"
"""The pool that a new cluster begins with, where the control plane is ours, and where it is not."""
FIRST_COUNT = 2
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


def first_pool(image_version: str, kubernetes: str, *, count: int | None, joined: bool) -> NodePool:
    """The pool that a new cluster begins with, by default of two nodes. `kubernetes` is the version, v1.37.2."""
    count = FIRST_COUNT if count is None else count
    return NodePool(
        name=JOINED_POOL if joined else FIRST_POOL,
        node_image_version=image_version,
        orchestrator_version=kubernetes.removeprefix("v"),
        count=count,
        mode=PoolMode.SYSTEM if count and not joined else PoolMode.USER,
    )


def plan_first_pool(kept: Sequence[NodePool], first: NodePool, *, asked: int | None) -> Action:
    """Whether `first` is added to the pools that are kept; `asked` is its count where somebody named one."""
    if not kept:
        return Action(f"node pool {first.name}", Verb.RUN, f"there is none yet; it gets {first.count} nodes")
    why = no_effect(kept, asked) or f"there is {', '.join(pool.name for pool in kept)}"
    return Action("node pools", Verb.SKIP, why)


def no_effect(kept: Sequence[NodePool], asked: int | None) -> str:
    """Why a count that was named for the first pool changes nothing, and what does; empty where nobody would wonder."""
    pool = next((pool for pool in kept if pool.mode is PoolMode.SYSTEM), kept[0])
    if asked in {None, pool.count}:
        return ""
    return (
        "--nodes is for a cluster without pools, so it changes nothing; "
        f"`bedplate nodepool scale --name {pool.name} --node-count {asked}` does"
    )


def step_of(action: MachineAction) -> Action:
    """The action in the words of every plan."""
    what = "node" if action.deed is Deed.DRAIN else "machine"
    verb = Verb.SKIP if action.deed is Deed.KEEP else Verb.RUN
    return Action(f"{action.deed.value} {what} {action.name}", verb, action.reason)


def plan_wait(actions: Sequence[MachineAction], *, each: float, together: bool) -> Action:
    """The wait until every node is Ready; one takes `each` seconds from power-on, and all as long when `together`."""
    count = sum(action.stays for action in actions)
    starting = sum(action.deed in (Deed.CREATE, Deed.POWER_ON) for action in actions)
    if not count:
        return Action("nodes Ready", Verb.SKIP, "there is to be none")
    why = f"{starting} of {count} machines start" if starting else "their machines run"
    return Action(f"nodes Ready: {count}", Verb.RUN, why, each * (min(starting, 1) if together else starting))


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
