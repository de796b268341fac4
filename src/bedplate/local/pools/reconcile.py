"""Makes the machines of a cluster what its pools say: the plan, its execution, and the wait until nodes are Ready."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx

from bedplate.host.clock import Clock
from bedplate.host.report import Report
from bedplate.host.run import Runner
from bedplate.local.cluster import Cluster
from bedplate.local.machines.firmware import find_firmware
from bedplate.local.machines.provider import LocalProvider
from bedplate.local.pools.drain import Drainer, require_no_orphans
from bedplate.local.pools.joining import join_target, require_free_names
from bedplate.local.pools.nodes import ANY, boots_of, lost_nodes, wait_for_nodes
from bedplate.local.pools.plan import Deed, MachineAction, plan_machines
from bedplate.local.pools.scale import Scaler
from bedplate.local.pools.store import read_pools
from bedplate.model.machines import Machine, MachineProvider
from bedplate.model.pools import NodePool, UpgradeSettings

READY_SECONDS = 600.0
DEFAULTS = UpgradeSettings()


def provider(cluster: Cluster, runner: Runner) -> LocalProvider:
    """The machines of the cluster."""
    return LocalProvider(
        cell=cluster.cell,
        lan=cluster.lan,
        folder=cluster.folder / "machines",
        templates=cluster.order.firmware,
        runner=runner,
        firmware=find_firmware(),
        accelerator=cluster.order.accelerator,
    )


def plan_for(pools: Sequence[NodePool], machines: Sequence[Machine], api: httpx.Client) -> tuple[MachineAction, ...]:
    """What would be done; the API server is asked only when there is a node to drain, whether that can be."""
    plan = plan_machines(pools, machines)
    drained = [action.name for action in plan if action.deed is Deed.DRAIN]
    return plan_machines(pools, machines, lost=lost_nodes(api, drained)) if drained else plan


def plan_safely(pools: Sequence[NodePool], machines: Sequence[Machine], api: httpx.Client) -> tuple[MachineAction, ...]:
    """The same. Raises `UserError` when that would take pods with it that nothing would make again."""
    plan = plan_for(pools, machines, api)
    require_no_orphans(api, [action.name for action in plan if action.deed is Deed.DRAIN])
    return plan


def nothing() -> None:
    """Nothing to take back."""


def reconcile(
    cluster: Cluster,
    *,
    runner: Runner,
    clock: Clock,
    report: Report,
    machines: MachineProvider | None = None,
    settings: UpgradeSettings = DEFAULTS,
    take_back: Callable[[], None] = nothing,
) -> tuple[MachineAction, ...]:
    """Make `machines`, the cluster's own by default, what its pools say; what was done, once every node is Ready.

    `settings` are for the nodes that go. When those cannot be drained, `take_back` is called: nothing was deleted,
    and unless the pools are again as they were, the next change would wait for the same pods.
    """
    machines = machines or provider(cluster, runner)
    pools = {pool.name: pool for pool in read_pools(cluster.pools)}
    with cluster.api() as api:
        actions = plan_for(tuple(pools.values()), machines.list(), api)
        if cluster.order.foreign:
            require_free_names(api, actions)
        scaler = Scaler(
            provider=machines,
            api=api,
            target=join_target(cluster, runner, clock),
            folder=cluster.folder,
            image=cluster.order.image_of,
        )
        going = [action.name for action in actions if action.deed is Deed.DRAIN]
        if going:
            drainer = Drainer(cluster.kubectl(runner), api, clock, settings)
            _drain(drainer, going, report, take_back)
        before = dict.fromkeys((each.name for each in actions if each.deed is Deed.KEEP), ANY)
        before |= boots_of(api, [each.name for each in actions if each.stays and each.name not in before])
        if any(action.deed is not Deed.KEEP for action in actions):
            with report.step("Machines") as step:
                scaler.carry_out(actions, pools)
                step.note(summary(actions))
        else:
            report.skipped("Machines", summary(actions))
        with report.step("Nodes") as step:
            wait_for_nodes(api, before, clock, seconds=READY_SECONDS, tell=step.note)
    return actions


def _drain(drainer: Drainer, names: Sequence[str], report: Report, take_back: Callable[[], None]) -> None:
    try:
        with report.step("Drain") as step:
            drainer.drain(names, step.note)
            step.note(", ".join(names))
    except BaseException:
        take_back()
        raise


def summary(actions: Sequence[MachineAction]) -> str:
    """`2 create, 1 keep`; `none` for no machine at all."""
    counts = {deed: sum(action.deed is deed for action in actions) for deed in Deed}
    return ", ".join(f"{count} {deed.value}" for deed, count in counts.items() if count) or "none"
