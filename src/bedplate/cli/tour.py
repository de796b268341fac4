"""`bedplate tour`: what makes a pool of these nodes different, seen on the running one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from bedplate.cli.local import changing, the_cluster
from bedplate.cli.nodepool import COLUMNS
from bedplate.cli.output import as_table
from bedplate.cli.progress import ConsoleReport
from bedplate.host.clock import SystemClock
from bedplate.host.files import write_atomically
from bedplate.host.run import SystemRunner
from bedplate.image.manifest import Manifest, read_manifest
from bedplate.local.addons import fill
from bedplate.local.cluster import Cluster, addon_values
from bedplate.local.pools.reconcile import reconcile
from bedplate.local.pools.store import read_pools, remove_pool, write_pool
from bedplate.local.probe import Prober
from bedplate.model.errors import UserError

WIDTH = 100
SECOND_POOL = "burst"
NODES = (
    "NAME:.metadata.name,KUBELET:.status.nodeInfo.kubeletVersion,OS:.status.nodeInfo.osImage,"
    "KERNEL:.status.nodeInfo.kernelVersion,RUNTIME:.status.nodeInfo.containerRuntimeVersion"
)
PODS = "NAME:.metadata.name,PHASE:.status.phase,NODE:.spec.nodeName,ADDRESS:.status.podIP"


@dataclass(frozen=True, slots=True)
class Guide:
    """Tells and shows; everything goes to one console, so that it can be recorded."""

    console: Console
    cluster: Cluster
    runner: SystemRunner

    def tell(self, text: str) -> None:
        self.console.print(f"\n{text}", style="bold", highlight=False)

    def show(self, command: str, said: str) -> None:
        self.console.print(Text(f"$ {command}", style="cyan"), soft_wrap=True)
        self.console.print(Text(said.rstrip()), soft_wrap=True)

    def kubectl(self, *words: str, shown: str = "") -> str:
        said = self.cluster.kubectl(self.runner).run(*words, seconds=400)
        if shown:
            self.show(f"kubectl {shown}", said)
        return said

    def probe(self, node: str, *arguments: str) -> None:
        image = f"bedplate.local/agnhost:{self.cluster.order.kubernetes}"
        said = Prober(self.cluster.kubectl(self.runner), image).ask(node, "mounttest", *arguments)
        self.show(f"(as root, from a pod on {node}) {' '.join(arguments)}", said)

    @property
    def manifest(self) -> Manifest:
        return read_manifest(self.cluster.order.image)

    @property
    def node(self) -> str:
        return self.kubectl("get", "nodes", "-o=jsonpath={.items[0].metadata.name}")


def nodes(guide: Guide) -> None:
    guide.tell("These nodes run an image that was built on this computer, and they say so.")
    guide.kubectl("get", "nodes", f"-o=custom-columns={NODES}", shown="get nodes")


def content(guide: Guide) -> None:
    guide.tell("What is on a node is a list, and each entry has its reason. A few of them:")
    manifest = guide.manifest
    lines = [f"{each.path:<44}{each.reason}" for each in manifest.executables[:6]]
    total = sum(file.size for file in manifest.files) / 1e6
    summary = f"… {len(manifest.executables)} executables in {total:.0f} MB, of {len(manifest.packages)} packages."
    guide.show("bedplate image inspect", "\n".join([*lines, summary]))
    guide.tell("There is no shell to get into, not even for root:")
    guide.probe(guide.node, "--file_mode=/host/usr/bin/sh")


def immutable(guide: Guide) -> None:
    guide.tell("/usr is checked block by block against a signed hash. Writing to it is refused:")
    guide.probe(guide.node, "--new_file_0644=/host/usr/altered")


def workload(guide: Guide) -> None:
    guide.tell("Pods run as anywhere: two of them behind a Service.")
    manifest = fill(guide.cluster.order.manifests, "demo", addon_values(guide.cluster))
    guide.cluster.kubectl(guide.runner).apply(manifest)
    guide.kubectl("rollout", "status", "deployment/web", "--timeout=300s")
    guide.kubectl("get", "pods", "-l=app=web", f"-o=custom-columns={PODS}", shown="get pods -l app=web")


def second_pool(guide: Guide) -> None:
    guide.tell("A second pool is one command, in the words of `az aks nodepool`:")
    folder = guide.cluster.pools
    with changing("taking the tour"):
        write_pool(folder, guide.cluster.pool(SECOND_POOL, count=1))
        _reconcile(guide)
        guide.show(f"bedplate nodepool add --name {SECOND_POOL}", as_table(read_pools(folder), COLUMNS))
        remove_pool(folder, SECOND_POOL)
        _reconcile(guide)
    guide.show(f"bedplate nodepool delete --name {SECOND_POOL}", as_table(read_pools(folder), COLUMNS))


def _reconcile(guide: Guide) -> None:
    report = ConsoleReport(guide.console)
    reconcile(guide.cluster, runner=guide.runner, clock=SystemClock(), report=report)


SCENES: tuple[Callable[[Guide], None], ...] = (nodes, content, immutable, workload, second_pool)


def tour(
    *,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE", help="Write what was shown to this SVG file.")
    ] = None,
) -> None:
    """See on the running pool what makes these nodes different.

    Takes some four minutes; the cluster has to be up. Nothing is left behind
    but the demo's two pods.
    """
    cluster = the_cluster()
    if SECOND_POOL in {pool.name for pool in read_pools(cluster.pools)}:
        raise UserError(
            f"The tour adds a pool {SECOND_POOL}, and there is one already.",
            resolution=f"Delete it with `bedplate nodepool delete --name {SECOND_POOL}`.",
        )
    console = Console(record=record is not None, width=WIDTH if record else None)
    guide = Guide(console, cluster, SystemRunner())
    for scene in SCENES:
        scene(guide)
    if record:
        write_atomically(record, console.export_svg(title="./dev tour").encode())
