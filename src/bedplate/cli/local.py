"""What the commands of the local cluster share: its folder, what it is made of, and bringing pools about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bedplate.cli.context import places, report
from bedplate.cli.image import image_of
from bedplate.cli.preflight import require
from bedplate.host.clock import SystemClock
from bedplate.host.locks import alone, is_held
from bedplate.host.run import SystemRunner
from bedplate.image.components.build import build_components
from bedplate.image.components.catalogue import read_catalogue
from bedplate.local import order
from bedplate.local.addons import manifests_folder
from bedplate.local.cell.client import find_cell
from bedplate.local.cluster import Cluster, open_cluster
from bedplate.local.joined import kept_agent, kept_releases, with_control_plane
from bedplate.local.machines.kvm import Acceleration
from bedplate.local.machines.qemu import Accelerator
from bedplate.local.order import ClusterOrder, images_before
from bedplate.model.errors import UserError
from bedplate.node.settings import resolve

NAME = "local"


def cluster_folder() -> Path:
    return places().state / "clusters" / NAME


def the_cluster() -> Cluster:
    """The local cluster, which has to be up."""
    return open_cluster(cluster_folder(), SystemClock())


@contextmanager
def changing(doing: str) -> Iterator[None]:
    """Hold the cluster for a block: two commands that change it at once would undo each other's work."""
    clusters = cluster_folder().parent
    # Whatever is in there, disks with the keys of nodes among it, is for its owner alone.
    clusters.mkdir(parents=True, exist_ok=True)
    clusters.chmod(0o700)
    with alone(clusters / f"{NAME}.lock", doing=doing):
        yield


def is_changing() -> bool:
    """Whether a command holds the cluster now."""
    return is_held(cluster_folder().parent / f"{NAME}.lock")


def ports_for(api: int | None, registry: int | None) -> tuple[int, int]:
    """The ports of this computer on which the cluster will be, API server first."""
    return order.ports_for(cluster_folder(), api=api, registry=registry)


def preflight(*ports: int) -> Acceleration:
    """Look whether this computer can run the cluster, whose ports have to be free unless it is up."""
    up = find_cell(cluster_folder() / "cell") is not None
    return require(() if up else ports)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a cluster is asked to have: ports of this computer (API server, registry), and files of the user's.

    `kubeconfig` names the control plane that its machines join, where that is not one of its own. `releases` is a
    release repository for its machines, `agent` a file with settings of their agent; those from before stay.
    """

    accelerator: Accelerator
    ports: tuple[int, int]
    kubeconfig: Path | None = None
    releases: Path | None = None
    agent: Path | None = None


def make_order(root: Path, wanted: Wanted) -> ClusterOrder:
    """What the cluster of a checkout is made of, everything built where the cache lacks it."""
    settings = own_settings(wanted.agent) if wanted.agent else kept_agent(cluster_folder())
    runner = SystemRunner()
    programs = build_components(root=root, places=places(), runner=runner, report=report())
    image = image_of(root, programs)
    images = {**images_before(cluster_folder()), image.manifest.version: image.folder}
    versions = {component.name: component.version for component in read_catalogue(root / "components")}
    made = ClusterOrder(
        programs=dict(programs),
        manifests=manifests_folder(root),
        debian=image.tools,
        image=image.folder,
        image_version=image.manifest.version,
        images=images,
        firmware=places().cache / "firmware",
        kubernetes=versions["kubernetes"],
        coredns=versions["coredns"].removeprefix("v"),
        accelerator=wanted.accelerator,
        api_port=wanted.ports[0],
        registry_port=wanted.ports[1],
        releases=wanted.releases or kept_releases(cluster_folder()),
        agent=settings,
    )
    return with_control_plane(made, cluster_folder(), wanted.kubeconfig, runner)


def own_settings(file: Path) -> str:
    """The text of a file with settings of an agent, which would take them. Raises `UserError` for any other."""
    text = file.read_bytes()
    try:
        resolve(text)
    except UserError as problem:
        page = "docs/reference/agent-settings.md has every key."
        raise UserError(f"{file} cannot be used.", details=problem.details, resolution=page) from problem
    return text.decode()
