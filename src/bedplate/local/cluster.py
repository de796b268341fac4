"""A local cluster: control plane, registry and network in one cell, brought up, found again and taken down."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import msgspec

from bedplate.host.clock import Clock
from bedplate.host.files import write_atomically
from bedplate.host.report import Report
from bedplate.host.run import Runner, SystemRunner
from bedplate.local import addons, images, registry
from bedplate.local.addresses import GATEWAY, REGISTRY_PORT
from bedplate.local.approver import approver_process
from bedplate.local.authorities import Pki
from bedplate.local.cell.client import Cell, OpenCell, find_cell, open_cell
from bedplate.local.cell.lan import Lan
from bedplate.local.cell.way_out import open_way_out
from bedplate.local.controlplane import ControlPlane, Programs, control_plane_processes
from bedplate.local.foreign.kubectl import foreign_client, kubectl_for
from bedplate.local.foreign.record import Foreign
from bedplate.local.kubectl import Kubectl
from bedplate.local.order import RECORD, ClusterOrder, kubeconfig_of, read_order
from bedplate.local.pki import ensure_pki, read_pki
from bedplate.local.plan import plan_processes
from bedplate.local.releases import releases_process
from bedplate.local.setup import api_client, wait_ready, write_admin_kubeconfigs, write_kubeconfigs
from bedplate.model.errors import UserError
from bedplate.model.plans import Action, Verb
from bedplate.model.pools import NodePool, PoolMode
from bedplate.wire.cell import ProcessSpec


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that is up: its folder, its cell, and what the control plane is made of, if that is ours."""

    folder: Path
    order: ClusterOrder
    cell: OpenCell
    plane: ControlPlane | None
    runner: Runner = field(default_factory=SystemRunner, repr=False, compare=False, kw_only=True)

    @property
    def lan(self) -> Lan:
        return Lan(self.cell, self.folder / "lan")

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, for people on this computer."""
        return kubeconfig_of(self.folder, self.order)

    @property
    def pools(self) -> Path:
        """The folder of the node pools."""
        return self.folder / "pools"

    @property
    def own(self) -> ControlPlane:
        """The control plane. Raises `UserError` when it is not ours."""
        if self.plane is None:
            raise UserError(
                "The control plane of this cluster is not ours.",
                resolution=f"Use kubectl with {self.kubeconfig}; `bedplate nodepool` and `node` work as always.",
            )
        return self.plane

    def pool(self, name: str, *, count: int, mode: PoolMode = PoolMode.USER) -> NodePool:
        """A pool of the image and the Kubernetes that this cluster has, not kept yet."""
        kubernetes = self.order.kubernetes.removeprefix("v")
        version = self.order.image_version
        return NodePool(name=name, node_image_version=version, orchestrator_version=kubernetes, count=count, mode=mode)

    def kubectl(self, runner: Runner) -> Kubectl:
        """`kubectl` as the administrator."""
        program = self.order.programs["kubectl"]
        foreign = self.order.foreign
        return kubectl_for(foreign, program, runner) if foreign else Kubectl(runner, program, self.kubeconfig)

    def api(self) -> httpx.Client:
        """The API server, as the administrator."""
        if self.order.foreign:
            return foreign_client(self.order.foreign, self.order.programs["kubectl"], self.runner)
        return api_client(self.own.pki, "admin", server=self.order.server)


def open_cluster(folder: Path, clock: Clock) -> Cluster:
    """The cluster of `folder` that is up. Raises `UserError` when it is not."""
    cell = find_cell(folder / "cell", clock=clock)
    if cell is None:
        raise UserError("The local cluster is not up.", resolution="Start it with `bedplate cluster up`.")
    order = read_order(folder)
    plane = None if order.foreign else own_plane(folder, order.programs, read_pki(pki_of(folder)))
    return Cluster(folder, order, cell, plane)


def pki_of(folder: Path) -> Path:
    """The folder of the certificates of the cluster in `folder`."""
    return folder / "pki"


def own_plane(folder: Path, programs: Mapping[str, Path], pki: Pki) -> ControlPlane:
    """The control plane as values, where it is ours. `programs` are by tool name."""
    chosen = Programs(
        etcd=programs["etcd"],
        kube_apiserver=programs["kube-apiserver"],
        kube_controller_manager=programs["kube-controller-manager"],
        kube_scheduler=programs["kube-scheduler"],
    )
    return ControlPlane(folder, chosen, pki)


def bring_up(folder: Path, order: ClusterOrder, *, runner: Runner, clock: Clock, report: Report) -> Cluster:
    """Start what does not run, wait until it answers, and bring add-ons and images up to date."""
    if order.foreign:
        with report.step("Network") as step:
            cluster = _start(folder, order, runner, clock)
            step.note("ran already" if cluster.cell.reused else f"leads to {order.server}")
    else:
        cluster = _bring_up_own(folder, order, runner=runner, clock=clock, report=report)
    with report.step("Container images") as step:
        actions = push_images(order, runner, clock)
        sent = sum(action.verb is Verb.RUN for action in actions)
        step.note(f"{sent} sent, {len(actions) - sent} there already")
    return cluster


def _bring_up_own(folder: Path, order: ClusterOrder, *, runner: Runner, clock: Clock, report: Report) -> Cluster:
    with report.step("Control plane") as step:
        cluster = _start(folder, order, runner, clock)
        with api_client(cluster.own.pki, "first-admin", server=order.server) as api:
            seconds = wait_ready(api, clock, logs=folder / "log")
        step.note("ran already" if cluster.cell.reused else f"ready {seconds:.1f} s after its start")
    with report.step("Add-ons"):
        admin = cluster.kubectl(runner)
        first = replace(admin, kubeconfig=folder / "first-admin.yaml")
        addons.install(first, admin, folder=order.manifests, values=addon_values(cluster))
    return cluster


def addon_values(cluster: Cluster) -> dict[str, str]:
    """What the manifests of this cluster are filled in with."""
    order = cluster.order
    return addons.addon_values(cluster.own.addresses, kubernetes=order.kubernetes, coredns=order.coredns)


def _start(folder: Path, order: ClusterOrder, runner: Runner, clock: Clock) -> Cluster:
    plane = None if order.foreign else own_plane(folder, order.programs, ensure_pki(pki_of(folder), clock))
    write_atomically(folder / RECORD, msgspec.json.encode(order, enc_hook=str))
    for instance in registry.INSTANCES:
        registry.write_registry_config(folder, instance)
    relays = {order.registry_port: f"{registry.TAKES.host}:{REGISTRY_PORT}"}
    if plane:
        write_kubeconfigs(plane, cluster=order.name)
        write_admin_kubeconfigs(plane.pki, folder, cluster=order.name, relay=order.server)
        relays[order.api_port] = f"{GATEWAY}:{plane.addresses.api_port}"
    cluster = Cluster(folder, order, open_cell(folder / "cell", relays=relays, clock=clock), plane, runner=runner)
    cluster.lan.prepare(names=order.foreign.names if order.foreign else {})
    if order.foreign:
        _lead_out(cluster, order.foreign)
    specs = cluster_processes(folder, order.releases, plane)
    actions = plan_processes([spec.name for spec in specs], running_in(cluster.cell))
    for spec, action in zip(specs, actions, strict=True):
        if action.runs:
            cluster.cell.start(spec)
    return cluster


def cluster_processes(folder: Path, releases: Path | None, plane: ControlPlane | None) -> tuple[ProcessSpec, ...]:
    """Every process of a cluster but its machines, in the order to start them; `plane` is the control plane of ours."""
    python = Path(sys.executable)
    specs = [registry.registry_process(folder, instance) for instance in registry.INSTANCES]
    if releases:
        specs.append(releases_process(folder, releases, python=python))
    if plane is None:
        return tuple(specs)
    return (*control_plane_processes(plane), *specs, approver_process(plane, python=python))


def running_in(cell: Cell) -> frozenset[str]:
    """The names of the processes that run now."""
    return frozenset(process.name for process in cell.list() if process.state == "running")


def _lead_out(cluster: Cluster, foreign: Foreign) -> None:
    cluster.lan.lend(foreign.address)
    open_way_out(cluster.cell, entry=f"{foreign.address}:{foreign.port}", target=foreign.target)


def push_images(order: ClusterOrder, runner: Runner, clock: Clock) -> list[Action]:
    """Put the images that every cluster runs, and the demo's, into the registry."""
    made = images.image_makers(
        order.programs, runner, debian=order.debian, kubernetes=order.kubernetes, coredns=order.coredns
    )
    with registry.registry_client(f"http://127.0.0.1:{order.registry_port}") as client:
        registry.wait_for_registry(client, clock)
        return [registry.push(client, name, tag, make()) for (name, tag), make in made.items()]
