"""A local cluster: control plane, registry and network in one cell, brought up, found again and taken down."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from bedplate.host.clock import Clock
from bedplate.host.report import Report
from bedplate.host.run import Runner
from bedplate.local import addons, images, registry
from bedplate.local.addresses import GATEWAY, REGISTRY_PORT
from bedplate.local.approver import approver_process
from bedplate.local.cell.client import OpenCell, find_cell, open_cell
from bedplate.local.cell.lan import Lan
from bedplate.local.controlplane import ControlPlane, Programs, control_plane_processes
from bedplate.local.oci import Image
from bedplate.local.pki import ensure_pki
from bedplate.local.setup import api_client, wait_ready, write_admin_kubeconfigs, write_kubeconfigs
from bedplate.model.plans import Action, Verb

API_PORT = 6443
REGISTRY_RELAY = 5075
PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class ClusterOrder:
    """What a cluster is made of.

    `folder` keeps its state; `programs` are by tool name; `manifests` is the folder of add-ons;
    `debian` a Debian tree that has nft. `kubernetes` and `coredns` are versions, with which images are tagged.
    """

    folder: Path
    programs: Mapping[str, Path]
    manifests: Path
    debian: Path
    kubernetes: str
    coredns: str
    name: str = "local"
    api_port: int = API_PORT
    registry_port: int = REGISTRY_RELAY

    @property
    def server(self) -> str:
        """The API server's URL on this computer."""
        return f"https://127.0.0.1:{self.api_port}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that is up: its cell, its network and what the control plane is made of."""

    order: ClusterOrder
    cell: OpenCell
    lan: Lan
    plane: ControlPlane

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, for people on this computer."""
        return self.order.folder / "admin.yaml"

    def api(self) -> httpx.Client:
        """The API server, as the administrator."""
        return api_client(self.plane.pki, "admin", server=self.order.server)


def bring_up(order: ClusterOrder, *, runner: Runner, clock: Clock, report: Report) -> Cluster:
    """Start what does not run, wait until it answers, and bring add-ons and images up to date."""
    with report.step("Control plane") as step:
        cluster = _start(order, clock)
        with api_client(cluster.plane.pki, "first-admin", server=order.server) as api:
            seconds = wait_ready(api, clock)
        step.note("ran already" if cluster.cell.reused else f"ready {seconds:.1f} s after its start")
    with report.step("Add-ons"):
        values = addons.addon_values(cluster.plane.addresses, kubernetes=order.kubernetes, coredns=order.coredns)
        addons.install(
            runner,
            kubectl=order.programs["kubectl"],
            first_admin=order.folder / "first-admin.yaml",
            admin=cluster.kubeconfig,
            folder=order.manifests,
            values=values,
        )
    with report.step("Container images") as step:
        actions = push_images(order, runner, clock)
        sent = sum(action.verb is Verb.RUN for action in actions)
        step.note(f"{sent} sent, {len(actions) - sent} there already")
    return cluster


def _start(order: ClusterOrder, clock: Clock) -> Cluster:
    pki = ensure_pki(order.folder / "pki", clock)
    programs = Programs(
        etcd=order.programs["etcd"],
        kube_apiserver=order.programs["kube-apiserver"],
        kube_controller_manager=order.programs["kube-controller-manager"],
        kube_scheduler=order.programs["kube-scheduler"],
    )
    plane = ControlPlane(order.folder, programs, pki)
    write_kubeconfigs(plane, cluster=order.name)
    write_admin_kubeconfigs(pki, order.folder, cluster=order.name, relay=order.server)
    registry.write_registry_config(order.folder)
    relays = {
        order.api_port: f"{GATEWAY}:{plane.addresses.api_port}",
        order.registry_port: f"{GATEWAY}:{REGISTRY_PORT}",
    }
    cell = open_cell(order.folder / "cell", relays=relays, clock=clock)
    lan = Lan(cell, order.folder / "lan")
    lan.prepare()
    running = {process.name for process in cell.list() if process.state == "running"}
    for spec in (
        *control_plane_processes(plane),
        registry.registry_process(order.folder),
        approver_process(plane, python=Path(sys.executable)),
    ):
        if spec.name not in running:
            cell.start(spec)
    return Cluster(order, cell, lan, plane)


def push_images(order: ClusterOrder, runner: Runner, clock: Clock) -> list[Action]:
    """Put the images that every cluster runs, and the demo's, into the registry."""
    catatonit = Path(shutil.which("catatonit") or "/usr/bin/catatonit")
    made: dict[tuple[str, str], Callable[[], Image]] = {
        (PAUSE, images.PAUSE_TAG): lambda: images.pause_image(catatonit),
        ("coredns", order.coredns): lambda: images.coredns_image(order.programs["coredns"]),
        ("kube-proxy", order.kubernetes): lambda: images.kube_proxy_image(
            order.programs["kube-proxy"], runner, root=order.debian
        ),
        ("agnhost", order.kubernetes): lambda: images.demo_image(order.programs["agnhost"]),
    }
    with registry.registry_client(f"http://127.0.0.1:{order.registry_port}") as client:
        registry.wait_for_registry(client, clock)
        return [registry.push(client, name, tag, make()) for (name, tag), make in made.items()]


def find_cluster(order: ClusterOrder, clock: Clock) -> OpenCell | None:
    """The cell of a cluster that is up, or `None`."""
    return find_cell(order.folder / "cell", clock=clock)
