"""`bedplate tour`: what makes a pool of these nodes different, seen on the running one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from bedplate.cli.context import command
from bedplate.cli.local import the_cluster
from bedplate.host.files import write_atomically
from bedplate.host.run import SystemRunner
from bedplate.local.addons import fill
from bedplate.local.cluster import Cluster, addon_values
from bedplate.local.pools.store import read_pools
from bedplate.local.probe import Prober
from bedplate.model.errors import UserError

WIDTH = 100
SECOND_POOL = "burst"
COMMAND_SECONDS = 900.0
LINES = 9
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

    def kubectl(self, *words: str) -> str:
        return self.cluster.kubectl(self.runner).run(*words, seconds=400)

    def table(self, *words: str, columns: str) -> None:
        """Show objects with some columns, by their names alone in the command that is shown."""
        names = ",".join(column.partition(":")[0] for column in columns.split(","))
        said = self.kubectl("get", *words, f"-o=custom-columns={columns}")
        self.show(f"kubectl get {' '.join(words)} -o custom-columns={names}", said)

    def probe(self, node: str, *arguments: str) -> None:
        image = f"bedplate.local/agnhost:{self.cluster.order.kubernetes}"
        said = Prober(self.cluster.kubectl(self.runner), image).ask(node, "mounttest", *arguments)
        self.show(f"agnhost mounttest {' '.join(arguments)}   # as root, in a pod on {node}", said)

    def bedplate(self, *words: str, part: Callable[[str], str] = str) -> None:
        """Run a command of ours as anybody would, and show what it says, or the part of it."""
        argv = [sys.executable, "-m", "bedplate.cli", *words]
        said = self.runner.run(argv, env={"COLUMNS": str(WIDTH)}, seconds=COMMAND_SECONDS).text
        self.show(f"{command()} {' '.join(words)}", part(said))

    @property
    def node(self) -> str:
        return self.kubectl("get", "nodes", "-o=jsonpath={.items[0].metadata.name}")


def nodes(guide: Guide) -> None:
    guide.tell("These nodes run an image that was built on this computer, and they say so.")
    guide.table("nodes", columns=NODES)


def content(guide: Guide) -> None:
    guide.tell("What is on a node is a list, and each entry has its reason. A few of them:")
    guide.bedplate("image", "inspect", str(guide.cluster.order.image), part=programs)
    guide.tell("There is no shell to get into, not even for root:")
    guide.probe(guide.node, "--file_mode=/host/usr/bin/sh")


def programs(said: str) -> str:
    """The beginning of the list of programs in what `image inspect` says."""
    lines = said[said.index("Programs:") :].splitlines()
    return "\n".join([*lines[:LINES], "  […]"])


def immutable(guide: Guide) -> None:
    guide.tell("/usr is checked block by block against a signed hash. Writing to it is refused:")
    guide.probe(guide.node, "--new_file_0644=/host/usr/altered")


def workload(guide: Guide) -> None:
    guide.tell("Pods run as anywhere: two of them behind a Service.")
    manifest = fill(guide.cluster.order.manifests, "demo", addon_values(guide.cluster))
    guide.cluster.kubectl(guide.runner).apply(manifest)
    guide.kubectl("rollout", "status", "deployment/web", "--timeout=300s")
    guide.table("pods", "-l=app=web", columns=PODS)


def second_pool(guide: Guide) -> None:
    guide.tell("A second pool is one command, in the words of `az aks nodepool`:")
    try:
        guide.bedplate("nodepool", "add", "--name", SECOND_POOL)
        guide.bedplate("nodepool", "list")
    finally:
        guide.bedplate("nodepool", "delete", "--name", SECOND_POOL)
    guide.bedplate("nodepool", "list")


SCENES: tuple[Callable[[Guide], None], ...] = (nodes, content, immutable, workload, second_pool)


def tour(
    *,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE", help="Write what was shown to this SVG file.")
    ] = None,
) -> None:
    """See on the running pool what makes these nodes different.

    Takes two to four minutes; the cluster has to be up. Nothing is left behind
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
