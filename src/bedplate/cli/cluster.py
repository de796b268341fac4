"""`bedplate cluster`: a control plane on this computer, and everything that nodes need of it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bedplate.cli.cluster_options import (
    AgentSettingsOption,
    ApiPortOption,
    KubeconfigOption,
    NodesOption,
    RegistryPortOption,
    ReleasesOption,
)
from bedplate.cli.components import CHECKOUT, RootOption
from bedplate.cli.context import report, say
from bedplate.cli.local import Wanted, changing, cluster_folder, make_order, ports_for, preflight
from bedplate.cli.output import OutputFormat, OutputOption, emit, room
from bedplate.cli.planning import plan_up, told
from bedplate.cli.plans import DryRunOption, emit_plan
from bedplate.host.clock import SystemClock
from bedplate.host.files import write_atomically
from bedplate.host.run import SystemRunner
from bedplate.local.addons import fill, wait_for
from bedplate.local.cell.client import find_cell
from bedplate.local.cluster import Cluster, addon_values, bring_up
from bedplate.local.joined import kept_foreign
from bedplate.local.order import ClusterOrder, kubeconfig_of, read_order
from bedplate.local.pools.joining import leave
from bedplate.local.pools.plan import first_pool, no_effect
from bedplate.local.pools.reconcile import reconcile
from bedplate.local.pools.store import read_pools, write_pool

app = typer.Typer(help="The local cluster.", no_args_is_help=True, rich_markup_mode=None)


class Status(msgspec.Struct, frozen=True):
    """The local cluster in a few words."""

    name: str
    state: str
    server: str
    kubernetes: str
    node_image: str
    acceleration: str
    kubeconfig: Path | None
    control_plane: str = ""


class Running(msgspec.Struct, frozen=True):
    """One process of the cluster."""

    process: str
    state: str
    restarts: int
    seconds: float


@app.command()
def up(
    *,
    nodes: NodesOption = None,
    api_port: ApiPortOption = None,
    registry_port: RegistryPortOption = None,
    kubeconfig: KubeconfigOption = None,
    releases: ReleasesOption = None,
    agent_settings: AgentSettingsOption = None,
    dry_run: DryRunOption = False,
    root: RootOption = CHECKOUT,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Bring up a cluster; what is there already is used.

    A new one gets one pool of nodes. Builds what the cache lacks: some 20 minutes the first time on two cores.
    """
    folder = cluster_folder()
    joining = kubeconfig is not None or kept_foreign(folder) is not None
    ports = ports_for(api_port, registry_port)
    acceleration = preflight(*(ports[1:] if joining else ports))
    steps = plan_up(root, folder, nodes=nodes, acceleration=acceleration, joining=joining, releases=releases)
    if dry_run:
        emit_plan(steps, output=output)
        return
    say(told(steps, width=room(sys.stderr)))
    with changing("bringing up the local cluster"), _told_what_runs_on():
        wanted = Wanted(acceleration.kind, ports, kubeconfig, releases, agent_settings)
        cluster, machines = _bring_about(make_order(root, wanted), nodes)
    _say_what_next(cluster, machines)


@contextmanager
def _told_what_runs_on() -> Iterator[None]:
    """After Ctrl-C the cell runs on, since the next `up` goes on with it; people have to know."""
    try:
        yield
    except KeyboardInterrupt:
        if find_cell(cluster_folder() / "cell"):
            say("What was started runs on: ./dev up goes on with it, ./dev down stops it.")
        raise


def _bring_about(order: ClusterOrder, nodes: int | None) -> tuple[Cluster, Sequence[str]]:
    """The cluster, and the names of its machines once their nodes are Ready and find Services."""
    runner, clock = SystemRunner(), SystemClock()
    cluster = bring_up(cluster_folder(), order, runner=runner, clock=clock, report=report())
    pools = read_pools(cluster.pools)
    if not pools:
        joined = order.foreign is not None
        write_pool(cluster.pools, first_pool(order.image_version, order.kubernetes, count=nodes, joined=joined))
    elif why := no_effect(pools, nodes):
        say(f"{why}.")
    actions = reconcile(cluster, runner=runner, clock=clock, report=report())
    machines = [action.name for action in actions if action.stays]
    if machines and not order.foreign:
        with report().step("Services and names"):
            wait_for(cluster.kubectl(runner))
    return cluster, machines


def _say_what_next(cluster: Cluster, machines: Sequence[str]) -> None:
    """Put kubectl and the demo where a short path names them, and tell of them."""
    shortcuts = cluster.folder / "bin"
    shortcuts.mkdir(exist_ok=True)
    link = shortcuts / "kubectl"
    link.unlink(missing_ok=True)
    link.symlink_to(cluster.order.programs["kubectl"])
    demo = _demo(cluster)
    console = f"  bedplate node console {machines[0]}\n" if machines else ""
    say(
        f"\nThe cluster is up{' with nodes of ours' if cluster.order.foreign else ''}. Try:\n\n"
        f"  export KUBECONFIG={cluster.kubeconfig} PATH={shortcuts}:$PATH\n"
        "  kubectl get nodes -o wide\n"
        f"{demo}"
        f"{console}\n"
        "./dev tour shows what makes its nodes different; docs/tutorial/first-pool.md goes on from here.\n"
        "./dev down stops it, ./dev down --all forgets it."
    )


def _demo(cluster: Cluster) -> str:
    """The line that tries the demo, which needs the Services of a cluster of ours."""
    if cluster.order.foreign:
        return ""
    demo = cluster.folder / "demo.yaml"
    write_atomically(demo, fill(cluster.order.manifests, "demo", addon_values(cluster)))
    return f"  kubectl apply -f {demo} && kubectl get pods -o wide\n"


@app.command()
def down(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Remove its state too: nodes, pools, certificates.")
    ] = False,
) -> None:
    """Stop the local cluster: nothing of it runs afterwards."""
    with changing("taking down the local cluster"):
        folder = cluster_folder()
        cell = find_cell(folder / "cell")
        if cell is None:
            report().skipped("Cluster", "it is not up")
        else:
            with report().step("Cluster"):
                cell.shutdown()
        if everything and folder.exists():
            with report().step("State") as step:
                step.note(leave(folder, SystemRunner()))
                shutil.rmtree(folder)


@app.command()
def status(*, output: OutputOption = OutputFormat.table) -> None:
    """Show whether the local cluster is up, and what it is made of."""
    folder = cluster_folder()
    if not folder.exists():
        emit(Status("local", "not made yet", "", "", "", "", None), output=output)
        return
    order = read_order(folder)
    state = "up" if find_cell(folder / "cell") else "down"
    emit(
        Status(
            name=order.name,
            state=state,
            server=order.server,
            kubernetes=order.kubernetes,
            node_image=order.image_version,
            acceleration=order.accelerator.value,
            kubeconfig=kubeconfig_of(folder, order),
            control_plane=f"joined (context {order.foreign.context})" if order.foreign else "ours",
        ),
        output=output,
    )


@app.command()
def processes(*, output: OutputOption = OutputFormat.table) -> None:
    """List what runs for the local cluster."""
    cell = find_cell(cluster_folder() / "cell")
    listed = cell.list() if cell else ()
    rows = [Running(each.name, each.state, each.restarts, each.seconds) for each in listed]
    columns = {"Process": "process", "State": "state", "Restarts": "restarts", "Seconds": "seconds"}
    emit(rows, output=output, columns=columns)
