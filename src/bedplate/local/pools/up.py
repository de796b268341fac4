"""Everything that bringing a cluster up does once its parts are built: found out beforehand, nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from bedplate.host.clock import Clock
from bedplate.host.run import Runner
from bedplate.local.authorities import Pki
from bedplate.local.cell import network
from bedplate.local.cell.client import Cell, find_cell
from bedplate.local.cluster import Cluster, cluster_processes, own_plane, pki_of, running_in
from bedplate.local.images import image_makers
from bedplate.local.machines import records
from bedplate.local.machines.qemu import Accelerator
from bedplate.local.order import read_order
from bedplate.local.pki import plan_pki
from bedplate.local.plan import plan_addons, plan_answer, plan_cell, plan_processes, plan_unasked
from bedplate.local.pools.plan import MachineAction, first_pool, plan_first_pool, plan_machines, plan_wait, step_of
from bedplate.local.pools.reconcile import plan_safely, provider
from bedplate.local.pools.store import read_pools
from bedplate.local.registry import TAKES, plan_push, registry_client
from bedplate.model.errors import PeerError
from bedplate.model.machines import Machine, MachineProvider, MachineState
from bedplate.model.plans import Action, Verb
from bedplate.model.pools import NodePool

BOOT_SECONDS = {Accelerator.KVM: 20.0, Accelerator.TCG: 40.0}
"""From power-on to Ready for one node on two cores; emulated ones wait for each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a cluster is going to be made of, as far as that is known before it is built.

    `programs` are by tool name, where they are or will be; `built` tells whether they and the image are there.
    `nodes` is the count of the first pool, None where nobody named one; `joined` tells that the control plane is
    somebody else's.
    """

    programs: Mapping[str, Path]
    debian: Path
    built: bool
    image_version: str
    kubernetes: str
    coredns: str
    accelerator: Accelerator
    releases: Path | None = None
    joined: bool = False
    nodes: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A cluster whose cell is open, and whom to ask about it."""

    cell: Cell
    machines: MachineProvider
    api: Callable[[], httpx.Client]
    registry: Callable[[], httpx.Client]


def find_standing(folder: Path, *, runner: Runner, clock: Clock) -> Standing | None:
    """The cluster of `folder` as it is now; `None` when its cell is not open."""
    cell = find_cell(folder / "cell", clock=clock)
    if cell is None:
        return None
    order = read_order(folder)
    plane = None if order.foreign else own_plane(folder, order.programs, Pki(pki_of(folder)))
    cluster = Cluster(folder, order, cell, plane, runner=runner)
    registry = f"http://127.0.0.1:{order.registry_port}"
    return Standing(cell, provider(cluster, runner), cluster.api, lambda: registry_client(registry))


def plan_up(
    draft: Draft, folder: Path, standing: Standing | None, *, runner: Runner, clock: Clock
) -> tuple[Action, ...]:
    """What `bring_up` and `reconcile` would do with the cluster in `folder`, in their order, each with its reason."""
    plane = None if draft.joined else own_plane(folder, draft.programs, Pki(pki_of(folder)))
    certificates = plan_pki(pki_of(folder), clock) if plane else ()
    names = [spec.name for spec in cluster_processes(folder, draft.releases, plane)]
    running = running_in(standing.cell) if standing else frozenset()
    processes = plan_processes(names, running)
    as_before = not any(action.runs for action in (*certificates, *processes))
    pools, machines = _plan_pools(draft, folder, standing, ask=as_before)
    return (
        *certificates,
        plan_cell(is_open=standing is not None),
        *processes,
        *([plan_answer(processes), *plan_addons()] if plane else [JOINING]),
        *_plan_images(draft, folder, standing if TAKES.name in running else None, runner),
        pools,
        *(step_of(action) for action in machines),
        plan_wait(machines, each=BOOT_SECONDS[draft.accelerator], together=draft.accelerator is Accelerator.KVM),
    )


JOINING = Action("control plane", Verb.SKIP, "machines join one that is not ours")


def _plan_images(draft: Draft, folder: Path, standing: Standing | None, runner: Runner) -> tuple[Action, ...]:
    makers = image_makers(
        draft.programs, runner, debian=draft.debian, kubernetes=draft.kubernetes, coredns=draft.coredns
    )
    if not (folder / "registry").is_dir():
        return plan_unasked(makers, "not in the registry yet")
    if not draft.built:
        return plan_unasked(makers, "made of what is built first; sent if the registry lacks it")
    if standing is None:
        return plan_unasked(makers, "sent if the registry lacks it, which does not run yet")
    try:
        with standing.registry() as registry:
            return tuple(plan_push(registry, name, tag, make()) for (name, tag), make in makers.items())
    except PeerError:
        # It is waited for when images are sent, so that is not the end of the plan.
        return plan_unasked(makers, "sent if the registry lacks it, which does not answer now")


def _plan_pools(
    draft: Draft, folder: Path, standing: Standing | None, *, ask: bool
) -> tuple[Action, Sequence[MachineAction]]:
    """What becomes of the first pool and of every machine.

    With `ask` the API server is asked, where nodes are to be drained, whether they can be.
    """
    kept = read_pools(folder / "pools")
    pools = kept or (first_pool(draft.image_version, draft.kubernetes, count=draft.nodes, joined=draft.joined),)
    there = standing.machines.list() if standing else machines_at_rest(folder)
    return plan_first_pool(kept, pools[0], asked=draft.nodes), _machines(pools, there, standing, ask=ask)


def _machines(
    pools: Sequence[NodePool], there: Sequence[Machine], standing: Standing | None, *, ask: bool
) -> Sequence[MachineAction]:
    if standing is None or not ask:
        return plan_machines(pools, there)
    with standing.api() as api:
        return plan_safely(pools, there, api)


def machines_at_rest(folder: Path) -> Sequence[Machine]:
    """The machines of the cluster in `folder` while its cell is not open, by number: all are off."""
    found = records.read_all(folder / "machines")
    return [
        Machine(each.name, each.number, each.pool, network.address(each.number), MachineState.STOPPED) for each in found
    ]
