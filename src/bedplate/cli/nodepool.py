"""`bedplate nodepool`: pools of nodes, in the words of `az aks nodepool`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Annotated

import msgspec
import typer

from bedplate.cli.context import report
from bedplate.cli.local import changing, is_changing, the_cluster
from bedplate.cli.output import OutputFormat, OutputOption, emit
from bedplate.cli.plans import COLUMNS as PLAN_COLUMNS
from bedplate.cli.plans import DryRunOption, PlannedStep
from bedplate.host.clock import SystemClock
from bedplate.host.run import SystemRunner
from bedplate.local.cluster import Cluster
from bedplate.local.pools.nodes import lost_nodes
from bedplate.local.pools.plan import Deed, MachineAction, step_of
from bedplate.local.pools.reconcile import plan_safely, provider, reconcile
from bedplate.local.pools.states import ShownPool, shown
from bedplate.local.pools.store import find_pool, read_pools, remove_pool, replace_pool, write_pool
from bedplate.model.errors import PeerError, UserError
from bedplate.model.pools import NodePool, PoolMode, UpgradeSettings, require_sound, require_system_pool

app = typer.Typer(help="Pools of nodes.", no_args_is_help=True, rich_markup_mode=None)

NameOption = Annotated[str, typer.Option("--name", "-n", metavar="NAME", help="The pool's name.")]
CountOption = Annotated[int, typer.Option("--node-count", "-c", metavar="COUNT", help="How many nodes it has.")]
DRAIN_TIMEOUT = UpgradeSettings().drain_timeout_in_minutes
DrainTimeoutOption = Annotated[
    int | None,
    typer.Option(
        "--drain-timeout",
        min=1,
        max=1440,
        metavar="MINUTES",
        help="How long each node may take to drain, this time.",
        show_default="the pool's",
    ),
]
COLUMNS = {
    "Name": "name",
    "KubernetesVersion": "orchestrator_version",
    "Count": "count",
    "Ready": "ready_count",
    "ProvisioningState": "provisioning_state",
    "PowerState": "power_state.code",
    "Mode": "mode",
    "NodeImageVersion": "node_image_version",
}
DETAILS = {
    **COLUMNS,
    "OsSku": "os_sku",
    "NodeLabels": "node_labels",
    "NodeTaints": "node_taints",
    "WritableCniBin": "writable_cni_bin",
    "MaxSurge": "upgrade_settings.max_surge",
    "MaxUnavailable": "upgrade_settings.max_unavailable",
    "DrainTimeoutInMinutes": "upgrade_settings.drain_timeout_in_minutes",
    "NodeSoakDurationInMinutes": "upgrade_settings.node_soak_duration_in_minutes",
    "UndrainableNodeBehavior": "upgrade_settings.undrainable_node_behavior",
}


class PlannedMachine(PlannedStep, frozen=True, kw_only=True):
    """A step of a plan that is about one machine; `deed` is the action alone, for programs."""

    deed: Deed
    name: str
    number: int
    pool: str


@app.command()
def add(
    *,
    name: NameOption,
    node_count: CountOption = 1,
    mode: Annotated[PoolMode, typer.Option("--mode", help="System pools carry what the cluster itself needs.")] = (
        PoolMode.USER
    ),
    labels: Annotated[
        list[str] | None,
        typer.Option("--labels", metavar="KEY=VALUE", help="Labels of its nodes, with commas between."),
    ] = (None),
    node_taints: Annotated[
        list[str] | None,
        typer.Option("--node-taints", metavar="KEY=VALUE:EFFECT", help="Taints of its nodes, with commas between."),
    ] = None,
    drain_timeout: Annotated[
        int, typer.Option("--drain-timeout", metavar="MINUTES", help="How long each of its nodes may take to drain.")
    ] = DRAIN_TIMEOUT,
    writable_cni_bin: Annotated[
        bool, typer.Option("--writable-cni-bin", help="DaemonSets may bring pod network programs, to /opt/cni/bin.")
    ] = False,
    dry_run: DryRunOption = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Add a pool, and wait until its nodes are Ready."""
    with _changing(f"adding node pool {name}", dry_run=dry_run) as cluster:
        if name in {pool.name for pool in read_pools(cluster.pools)}:
            raise UserError(f"There is a node pool {name} already.", resolution="Scale it, or choose another name.")
        pool = msgspec.structs.replace(
            cluster.pool(name, count=node_count, mode=mode),
            node_labels=_labels(labels or ()),
            node_taints=tuple(_parts(node_taints or ())),
            upgrade_settings=UpgradeSettings(drain_timeout_in_minutes=drain_timeout),
            writable_cni_bin=writable_cni_bin,
        )
        _make_so(cluster, pool, pool.upgrade_settings, dry_run=dry_run, output=output)


@app.command(name="list")
def list_pools(*, output: OutputOption = OutputFormat.table) -> None:
    """List the pools, and whether their nodes are what they say."""
    cluster = the_cluster()
    emit(_shown(cluster, read_pools(cluster.pools), changing=is_changing()), output=output, columns=COLUMNS)


@app.command()
def show(*, name: NameOption, output: OutputOption = OutputFormat.table) -> None:
    """Show one pool."""
    cluster = the_cluster()
    (pool,) = _shown(cluster, [find_pool(cluster.pools, name)], changing=is_changing())
    emit(pool, output=output, columns=DETAILS)


@app.command()
def scale(
    *,
    name: NameOption,
    node_count: CountOption,
    drain_timeout: DrainTimeoutOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Change how many nodes a pool has.

    When it shrinks, the newest nodes go. They are drained first, as `kubectl
    drain --ignore-daemonsets --delete-emptydir-data` does; one that cannot be
    drained in time stops it, and no node goes.
    """
    with _changing(f"scaling node pool {name}", dry_run=dry_run) as cluster:
        before = find_pool(cluster.pools, name)
        settings = _settings(before, drain_timeout)
        _make_so(cluster, msgspec.structs.replace(before, count=node_count), settings, dry_run=dry_run, output=output)


@app.command()
def delete(
    *,
    name: NameOption,
    drain_timeout: DrainTimeoutOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Delete a pool with its nodes and what is on their disks.

    The nodes are drained first, as when a pool is scaled down.
    """
    with _changing(f"deleting node pool {name}", dry_run=dry_run) as cluster:
        gone = find_pool(cluster.pools, name)
        left = [pool for pool in read_pools(cluster.pools) if pool.name != name]
        if gone.mode is PoolMode.SYSTEM:
            require_system_pool(left)
        if dry_run:
            _print_plan(cluster, left, output)
            return
        _planned(cluster, left)
        remove_pool(cluster.pools, name)
        _reconcile(cluster, _settings(gone, drain_timeout), lambda: write_pool(cluster.pools, gone))
    if output is OutputFormat.table:
        sys.stdout.write(f"Node pool {name} is gone.\n")


@contextmanager
def _changing(doing: str, *, dry_run: bool) -> Iterator[Cluster]:
    """The cluster, held unless nothing will change. What is decided from its pools is decided inside."""
    with nullcontext() if dry_run else changing(doing):
        yield the_cluster()


def _settings(pool: NodePool, drain_timeout: int | None) -> UpgradeSettings:
    if drain_timeout is None:
        return pool.upgrade_settings
    return msgspec.structs.replace(pool.upgrade_settings, drain_timeout_in_minutes=drain_timeout)


def _make_so(
    cluster: Cluster, pool: NodePool, settings: UpgradeSettings, *, dry_run: bool, output: OutputFormat
) -> None:
    wanted = [*(each for each in read_pools(cluster.pools) if each.name != pool.name), require_sound(pool)]
    if dry_run:
        _print_plan(cluster, wanted, output)
        return
    _planned(cluster, wanted)  # what cannot be carried out is not kept either
    _reconcile(cluster, settings, replace_pool(cluster.pools, pool))
    emit(_shown(cluster, [pool], changing=False), output=output, columns=COLUMNS)


def _reconcile(cluster: Cluster, settings: UpgradeSettings, take_back: Callable[[], None]) -> None:
    reconcile(
        cluster,
        runner=SystemRunner(),
        clock=SystemClock(),
        report=report(),
        settings=settings,
        take_back=take_back,
    )


def _shown(cluster: Cluster, pools: Sequence[NodePool], *, changing: bool) -> list[ShownPool]:
    """The pools with their states; whether nodes are Ready is left open when the API server does not answer."""
    machines = provider(cluster, SystemRunner()).list()
    try:
        with cluster.api() as api:
            lost = lost_nodes(api, [machine.name for machine in machines])
    except PeerError:
        lost = None
    return [shown(pool, machines, lost, changing=changing) for pool in pools]


def _print_plan(cluster: Cluster, pools: list[NodePool], output: OutputFormat) -> None:
    emit([_shown_action(each) for each in _planned(cluster, pools)], output=output, columns=PLAN_COLUMNS)


def _shown_action(action: MachineAction) -> PlannedMachine:
    step = step_of(action)
    return PlannedMachine(
        action=step.name,
        verb=step.verb,
        reason=step.reason,
        deed=action.deed,
        name=action.name,
        number=action.number,
        pool=action.pool,
    )


def _planned(cluster: Cluster, pools: list[NodePool]) -> tuple[MachineAction, ...]:
    """The plan. Raises `UserError` for what would be refused, be it a count or pods that would be lost."""
    with cluster.api() as api:
        return plan_safely(pools, provider(cluster, SystemRunner()).list(), api)


def _parts(texts: Sequence[str]) -> list[str]:
    """What is written with commas between, or as an option given several times."""
    return [part for text in texts for part in text.split(",") if part]


def _labels(texts: Sequence[str]) -> dict[str, str]:
    """`key=value` texts as a mapping."""
    pairs = _parts(texts)
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise UserError(f"{wrong[0]!r} is not a label.", resolution="Write it as key=value.")
    return dict(pair.split("=", 1) for pair in pairs)
