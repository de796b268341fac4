"""Machines become what the pools say: the plan carried out against machines and an API server in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import msgspec
import pytest

from bedplate.local.approver import read_known_machines
from bedplate.local.cell.client import OpenCell
from bedplate.local.cell.network import address
from bedplate.local.cluster import Cluster, own_plane
from bedplate.local.foreign.record import Foreign
from bedplate.local.machines.qemu import Accelerator
from bedplate.local.order import ClusterOrder
from bedplate.local.pki import ensure_pki
from bedplate.local.pools.plan import Deed, MachineAction
from bedplate.local.pools.reconcile import nothing, plan_safely, reconcile, summary
from bedplate.local.pools.store import read_pools, remove_pool, replace_pool, write_pool
from bedplate.local.pools.token import GOOD_FOR
from bedplate.model.errors import MachineError, PeerError, UserError
from bedplate.model.machines import Machine, MachineState, Power
from bedplate.model.pools import NodePool
from bedplate.testing.clock import FakeClock
from bedplate.testing.machines import FakeProvider
from bedplate.testing.report import RecordedReport
from bedplate.testing.runner import FakeRunner

VERSION = "Bedplate-1.37-amd64-202611.24.0"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
POOL = NodePool(
    name="np", node_image_version=VERSION, orchestrator_version="1.37.2", count=2, node_labels={"tier": "a"}
)


@dataclass
class Nodes:
    """An API server where every machine that runs is a Ready node, but those in `silent`; `deleted` were taken out."""

    machines: FakeProvider
    silent: set[str] = field(default_factory=set)
    deleted: list[str] = field(default_factory=list)
    refuses: int = 0
    pods: tuple[dict[str, object], ...] = ()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            self.deleted.append(request.url.path.rpartition("/")[2])
            return httpx.Response(self.refuses or 404)
        if request.url.path.endswith(("/pods", "/poddisruptionbudgets")):
            return httpx.Response(200, json={"items": self.pods if request.url.path.endswith("/pods") else ()})
        running = [m.name for m in self.machines.list() if m.state is MachineState.RUNNING]
        return httpx.Response(200, json={"items": [self._node(name) for name in running if name not in self.silent]})

    def _node(self, name: str) -> dict[str, object]:
        ready = {"type": "Ready", "status": "True"}
        return {"metadata": {"name": name}, "status": {"conditions": [ready]}}


@dataclass(frozen=True, slots=True)
class InMemory(Cluster):
    """A cluster whose API server is a function."""

    nodes: Nodes | None = None

    def api(self) -> httpx.Client:
        assert self.nodes is not None
        return httpx.Client(base_url=self.order.server, transport=httpx.MockTransport(self.nodes))


class Stage:
    """A cluster, and what was seen of it."""

    def __init__(self, folder: Path, *machines: Machine) -> None:
        self.clock, self.runner, self.report = FakeClock(), FakeRunner(), RecordedReport()
        self.machines = FakeProvider(machines)
        self.nodes = Nodes(self.machines)
        order = ClusterOrder(
            programs={name: folder / name for name in PROGRAMS},
            manifests=folder,
            debian=folder,
            image=folder,
            image_version=VERSION,
            firmware=folder,
            kubernetes="v1.37.2",
            coredns="1.14.7",
            accelerator=Accelerator.TCG,
        )
        pki = ensure_pki(folder / "pki", self.clock)
        self.cluster = InMemory(folder, order, OpenCell(folder, {}), own_plane(folder, order.programs, pki), self.nodes)

    def reconcile(self, take_back: Callable[[], None] = nothing) -> tuple[MachineAction, ...]:
        return reconcile(
            self.cluster,
            runner=self.runner,
            clock=self.clock,
            report=self.report,
            machines=self.machines,
            take_back=take_back,
        )

    def kubectl(self) -> list[tuple[str, ...]]:
        """What kubectl was asked for, without the kubeconfig."""
        return [command[2:] for command in self.runner.commands if command[0].endswith("kubectl")]

    def names(self) -> list[str]:
        return [machine.name for machine in self.machines.list()]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_new_pool_gets_machines_that_know_the_cluster_and_their_labels(stage: Stage) -> None:
    write_pool(stage.cluster.pools, POOL)
    assert [action.deed for action in stage.reconcile()] == [Deed.CREATE, Deed.CREATE]
    assert stage.machines.boots == ["np-1", "np-2"]
    order = stage.machines.orders["np-2"]
    assert order.image == stage.cluster.order.image
    env = order.credentials["bedplate.kubelet-env"].decode().splitlines()
    assert env[0] == "NODE_LABELS=bedplate.dev/nodepool=np,tier=a"
    token = json.loads((stage.cluster.folder / "token.json").read_bytes())["secret"]
    assert token.encode() in order.credentials["bedplate.kubelet-bootstrap"]
    assert order.credentials["bedplate.cluster-ca"] == stage.cluster.plane.pki.certificate("ca").read_bytes()


def test_a_pool_of_an_earlier_image_gets_machines_of_that_image(stage: Stage, tmp_path: Path) -> None:
    earlier = "Bedplate-1.37-amd64-202611.20.0"
    (tmp_path / "earlier").mkdir()
    order = msgspec.structs.replace(stage.cluster.order, images={earlier: tmp_path / "earlier"})
    stage.cluster = replace(stage.cluster, order=order)
    write_pool(stage.cluster.pools, msgspec.structs.replace(POOL, node_image_version=earlier))
    stage.reconcile()
    assert stage.machines.orders["np-2"].image == tmp_path / "earlier"


def test_an_image_that_is_gone_is_named_with_those_that_are_there(stage: Stage) -> None:
    order = msgspec.structs.replace(stage.cluster.order, images={"gone": stage.cluster.folder / "gone"})
    with pytest.raises(UserError, match="has no image gone") as caught:
        order.image_of("gone")
    assert caught.value.details == f"It has {VERSION}."


def test_the_approver_knows_every_machine_that_is_to_be(stage: Stage) -> None:
    write_pool(stage.cluster.pools, POOL)
    stage.reconcile()
    assert read_known_machines(stage.cluster.folder) == {"np-1": address(1), "np-2": address(2)}


def test_what_is_as_it_should_be_is_left_alone_and_said_so(stage: Stage) -> None:
    write_pool(stage.cluster.pools, POOL)
    stage.reconcile()
    stage.reconcile()
    assert stage.report.skips == [("Machines", "2 keep")]
    assert stage.machines.boots == ["np-1", "np-2"]


def test_all_machines_come_with_one_token(stage: Stage) -> None:
    write_pool(stage.cluster.pools, POOL)
    stage.reconcile()
    write_pool(stage.cluster.pools, msgspec.structs.replace(POOL, count=3))
    stage.reconcile()
    tokens = [order.credentials["bedplate.kubelet-bootstrap"] for order in stage.machines.orders.values()]
    assert len(set(tokens)) == 1
    assert sum("apply" in command for command in stage.runner.commands) == 1


def test_a_machine_that_goes_is_taken_out_of_the_cluster(stage: Stage) -> None:
    write_pool(stage.cluster.pools, POOL)
    stage.reconcile()
    write_pool(stage.cluster.pools, msgspec.structs.replace(POOL, count=1))
    stage.reconcile()
    assert (stage.names(), stage.nodes.deleted) == (["np-1"], ["np-2"])
    assert read_known_machines(stage.cluster.folder) == {"np-1": address(1)}


def test_its_node_is_drained_before_that(stage: Stage) -> None:
    write_pool(stage.cluster.pools, POOL)
    stage.reconcile()
    write_pool(stage.cluster.pools, msgspec.structs.replace(POOL, count=1))
    assert summary(stage.reconcile()) == "1 drain, 1 delete, 1 keep"
    options = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=10s")
    assert stage.kubectl()[-2:] == [("cordon", "np-2"), ("drain", "np-2", *options)]
    assert stage.report.outcomes()["Drain"] == "done"


def test_a_node_that_is_not_ready_is_not_waited_for(stage: Stage) -> None:
    write_pool(stage.cluster.pools, POOL)
    stage.reconcile()
    stage.nodes.silent.add("np-2")
    write_pool(stage.cluster.pools, msgspec.structs.replace(POOL, count=1))
    stage.reconcile()
    assert (stage.names(), stage.nodes.deleted) == (["np-1"], ["np-2"])
    assert "Drain" not in stage.report.outcomes()
    assert not any("drain" in command for command in stage.kubectl())


def test_when_a_node_cannot_be_drained_machines_and_pools_stay_as_they_were(stage: Stage) -> None:
    write_pool(stage.cluster.pools, POOL)
    stage.reconcile()
    stage.nodes.pods = ({"metadata": {"name": "alone", "namespace": "default"}},)
    take_back = replace_pool(stage.cluster.pools, msgspec.structs.replace(POOL, count=1))
    with pytest.raises(UserError, match="would be lost"):
        stage.reconcile(take_back)
    assert (stage.names(), stage.nodes.deleted) == (["np-1", "np-2"], [])
    assert read_pools(stage.cluster.pools) == (POOL,)
    assert stage.report.outcomes()["Drain"] == "failed"


def test_a_plan_with_a_drain_that_bare_pods_would_refuse_is_refused(stage: Stage) -> None:
    write_pool(stage.cluster.pools, POOL)
    stage.reconcile()
    stage.nodes.pods = ({"metadata": {"name": "alone", "namespace": "default"}},)
    fewer = [msgspec.structs.replace(POOL, count=1)]
    with stage.cluster.api() as api, pytest.raises(UserError, match="would be lost") as caught:
        plan_safely(fewer, stage.machines.list(), api)
    assert caught.value.details == "np-2: default/alone: no controller would start it again"
    assert stage.kubectl()[-1][0] == "apply"


def test_bare_pods_on_a_node_that_is_not_drained_refuse_nothing(stage: Stage) -> None:
    write_pool(stage.cluster.pools, POOL)
    stage.reconcile()
    stage.nodes.pods = ({"metadata": {"name": "alone", "namespace": "default"}},)
    stage.nodes.silent.add("np-2")
    with stage.cluster.api() as api:
        plan = plan_safely([msgspec.structs.replace(POOL, count=1)], stage.machines.list(), api)
    assert [action.deed for action in plan] == [Deed.DELETE, Deed.KEEP]


def test_with_its_pool_every_machine_goes(stage: Stage) -> None:
    write_pool(stage.cluster.pools, POOL)
    stage.reconcile()
    remove_pool(stage.cluster.pools, "np")
    stage.reconcile()
    assert (stage.names(), stage.nodes.deleted) == ([], ["np-1", "np-2"])


def test_a_machine_that_is_off_is_switched_on_and_not_made_anew(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Machine("np-1", 1, "np", address(1), MachineState.STOPPED))
    write_pool(stage.cluster.pools, msgspec.structs.replace(POOL, count=1))
    assert [action.deed for action in stage.reconcile()] == [Deed.POWER_ON]
    assert (stage.machines.boots, stage.machines.orders) == (["np-1"], {})


def test_a_machine_that_is_off_is_started_with_a_token_that_is_still_good(stage: Stage) -> None:
    write_pool(stage.cluster.pools, POOL)
    stage.nodes.silent.add("np-2")
    with pytest.raises(PeerError):
        stage.reconcile()
    ended = stage.machines.told["np-2"]["bedplate.kubelet-bootstrap"]
    stage.machines.power("np-2", Power.OFF)
    stage.clock.sleep(GOOD_FOR.total_seconds())
    stage.nodes.silent.clear()
    stage.reconcile()
    present = json.loads((stage.cluster.folder / "token.json").read_bytes())["secret"].encode()
    told = stage.machines.told["np-2"]
    assert present not in ended
    assert present in told["bedplate.kubelet-bootstrap"]
    assert told["system.hostname"] == b"np-2"


def test_a_node_that_never_is_ready_ends_the_wait_with_its_name_and_what_to_do(stage: Stage) -> None:
    stage.nodes.silent.add("np-2")
    write_pool(stage.cluster.pools, POOL)
    with pytest.raises(PeerError, match="Not all nodes were Ready within 600 s") as caught:
        stage.reconcile()
    assert caught.value.details == "np-2: has not joined yet"
    assert "bedplate node console" in caught.value.resolution
    assert stage.report.outcomes() == {"Machines": "done", "Nodes": "failed"}
    assert stage.report.steps[-1].notes[-1] == "1 of 2 Ready"


def test_a_machine_that_cannot_be_made_does_not_take_the_others_with_it(stage: Stage) -> None:
    stage.machines.broken.add("np-2")
    write_pool(stage.cluster.pools, POOL)
    with pytest.raises(MachineError, match="QEMU ended at once"):
        stage.reconcile()
    assert stage.names() == ["np-1"]
    stage.machines.broken.clear()
    assert summary(stage.reconcile()) == "1 create, 1 keep"


def test_a_node_that_the_api_server_does_not_let_go_is_told(stage: Stage) -> None:
    write_pool(stage.cluster.pools, POOL)
    stage.reconcile()
    remove_pool(stage.cluster.pools, "np")
    stage.nodes.refuses = 500
    with pytest.raises(PeerError, match="The machine np-1 is gone, but its node is still"):
        stage.reconcile()


def test_an_image_that_the_cluster_does_not_have_is_named(stage: Stage) -> None:
    other = "Bedplate-1.37-amd64-202601.02.0"
    write_pool(stage.cluster.pools, msgspec.structs.replace(POOL, node_image_version=other))
    with pytest.raises(UserError, match=f"no image {other}"):
        stage.reconcile()
    assert stage.names() == []


def test_a_control_plane_that_is_not_ours_is_asked_by_the_clusters_own_runner(stage: Stage) -> None:
    server = "https://api.example.com:6443"
    theirs = Foreign(
        kubeconfig=Path("/theirs"), context="theirs", server=server, authority=b"PEM", name="api", cluster_dns=""
    )
    order = msgspec.structs.replace(stage.cluster.order, foreign=theirs)
    cluster = Cluster(stage.cluster.folder, order, stage.cluster.cell, None, runner=stage.runner)
    with cluster.api() as api:
        api.get("/readyz")
    assert stage.runner.commands[-1][-2:] == ("--raw", "/readyz")


def test_no_machine_at_all_is_said_so() -> None:
    assert summary([]) == "none"
