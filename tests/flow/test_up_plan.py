"""What `cluster up` is going to do is found out from what is there, and changes none of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from bedplate.local.cell.network import address
from bedplate.local.images import image_makers
from bedplate.local.machines.qemu import Accelerator
from bedplate.local.machines.records import RECORD, MachineRecord, encode
from bedplate.local.pki import ensure_pki
from bedplate.local.pools.store import write_pool
from bedplate.local.pools.up import Draft, Standing, plan_up
from bedplate.local.registry import TAKES
from bedplate.model.errors import UserError
from bedplate.model.machines import Machine, MachineState
from bedplate.model.plans import Action, Verb
from bedplate.model.pools import NodePool, PoolMode
from bedplate.testing.cell import FakeCell
from bedplate.testing.clock import FakeClock
from bedplate.testing.machines import FakeProvider
from bedplate.testing.runner import FakeRunner
from bedplate.wire.cell import ProcessSpec
from tests.flow.test_pools import VERSION, Nodes

PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
PROGRAMS = (*PLANE, "kubectl", "coredns", "kube-proxy", "agnhost")
PROCESSES = (*PLANE, "registry", "registry-read-only", "approver")
SYSTEM = NodePool(
    name="system", node_image_version=VERSION, orchestrator_version="1.37.2", count=2, mode=PoolMode.SYSTEM
)
ON = Machine("system-1", 1, "system", address(1), MachineState.RUNNING)
OFF = Machine("system-2", 2, "system", address(2), MachineState.STOPPED)
THIRD = Machine("system-3", 3, "system", address(3), MachineState.RUNNING)


class Registry:
    """A registry that has the images of these digests, by path."""

    def __init__(self, **images: str) -> None:
        self.images = images

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.method == "HEAD"
        digest = self.images.get(request.url.path.split("/")[2].replace("-", "_"))
        return httpx.Response(200, headers={"Docker-Content-Digest": digest}) if digest else httpx.Response(404)


class Silent(Registry):
    """One that is being started."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)


class Yard:
    """A folder of a cluster, and what runs of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.runner = folder, FakeClock(), FakeRunner()
        for name in (*PROGRAMS, "usr/sbin/nft", "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"):
            (folder / "programs" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "programs" / name).write_bytes(name.encode())
        self.draft = Draft(
            programs={name: folder / "programs" / name for name in PROGRAMS},
            debian=folder / "programs",
            built=True,
            image_version=VERSION,
            kubernetes="v1.37.2",
            coredns="1.14.7",
            accelerator=Accelerator.TCG,
        )
        self.standing: Standing | None = None
        self.nodes: Nodes | None = None

    def was_up(self) -> None:
        """What a first `up` has left: certificates, a pool, images in the registry."""
        ensure_pki(self.folder / "pki", self.clock)
        write_pool(self.folder / "pools", SYSTEM)
        (self.folder / "registry").mkdir()

    def runs(self, *machines: Machine, images: Registry | None = None, without: str = "") -> None:
        self.was_up()
        cell, provider = FakeCell(), FakeProvider(machines)
        for name in PROCESSES:
            if name != without:
                cell.start(ProcessSpec(name=name, argv=(name,), log=""))
        self.nodes = nodes = Nodes(provider)
        self.standing = Standing(
            cell,
            provider,
            lambda: httpx.Client(base_url="https://api.test", transport=httpx.MockTransport(nodes)),
            lambda: httpx.Client(base_url="http://registry.test", transport=httpx.MockTransport(images or Registry())),
        )

    def plan(self) -> dict[str, Action]:
        """The plan by what is done; every step has its reason, and nothing is changed by asking."""
        before = sorted(self.folder.rglob("*"))
        plan = plan_up(self.draft, self.folder, self.standing, runner=self.runner, clock=self.clock)
        assert all(action.reason for action in plan)
        assert sorted(self.folder.rglob("*")) == before
        return {action.name: action for action in plan}


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def told(plan: dict[str, Action], name: str) -> tuple[Verb, str]:
    return plan[name].verb, plan[name].reason


def runs(plan: dict[str, Action]) -> list[str]:
    return [name for name, action in plan.items() if action.runs]


def test_a_new_cluster_gets_everything_in_its_order(yard: Yard) -> None:
    plan = yard.plan()
    assert runs(plan) == list(plan)
    names = [name for name in plan if not name.startswith("certificate ")]
    assert names == [
        "service account key",
        "network",
        *(f"process {name}" for name in PROCESSES),
        "control plane answers",
        "add-on access",
        "add-on kube-proxy",
        "add-on coredns",
        "image pause:3.10.1",
        "image coredns:1.14.7",
        "image kube-proxy:v1.37.2",
        "image agnhost:v1.37.2",
        "node pool system",
        "create machine system-1",
        "create machine system-2",
        "nodes Ready: 2",
    ]
    assert plan["nodes Ready: 2"].seconds == 80.0
    assert told(plan, "certificate admin") == (Verb.RUN, "not there yet")
    assert told(plan, "image pause:3.10.1") == (Verb.RUN, "not in the registry yet")


def test_machines_that_run_by_kvm_become_ready_together(yard: Yard) -> None:
    yard.draft = replace(yard.draft, accelerator=Accelerator.KVM, nodes=3)
    assert yard.plan()["nodes Ready: 3"].seconds == 20.0


def test_in_a_cell_that_is_open_a_machine_that_is_off_is_switched_on_and_a_missing_one_made(yard: Yard) -> None:
    yard.runs(OFF)
    plan = yard.plan()
    assert told(plan, "network") == (Verb.SKIP, "the cell is open")
    assert told(plan, "power on machine system-2") == (Verb.RUN, "it is off")
    assert told(plan, "create machine system-1") == (Verb.RUN, "pool system has count 2")
    assert plan["nodes Ready: 2"].seconds == 80.0


def test_what_runs_is_left_alone(yard: Yard) -> None:
    yard.runs(ON, replace(OFF, state=MachineState.RUNNING))
    plan = yard.plan()
    assert told(plan, "keep machine system-1") == (Verb.SKIP, "it runs")
    assert told(plan, "process etcd") == (Verb.SKIP, "it runs")
    assert told(plan, "certificate admin") == (Verb.SKIP, "still good")
    assert not any(action.seconds for action in plan.values())


def test_a_process_that_ended_is_started(yard: Yard) -> None:
    yard.runs(ON, OFF, without="kube-scheduler")
    plan = yard.plan()
    assert [name for name in runs(plan) if name.startswith("process ")] == ["process kube-scheduler"]
    assert plan["control plane answers"].seconds == 8.0


def test_a_cluster_that_is_down_has_its_machines_off(yard: Yard) -> None:
    yard.was_up()
    record = yard.folder / "machines/system-1" / RECORD
    record.parent.mkdir(parents=True)
    record.write_bytes(encode(MachineRecord(1, "system-1", "system", "/nowhere", 2048, 2, ())))
    plan = yard.plan()
    assert told(plan, "power on machine system-1") == (Verb.RUN, "it is off")
    assert told(plan, "create machine system-2") == (Verb.RUN, "pool system has count 2")
    assert told(plan, "image pause:3.10.1")[1] == "sent if the registry lacks it, which does not run yet"


@pytest.mark.skipif(shutil.which("catatonit") is None, reason="the pause image is made of Debian's catatonit")
def test_the_registry_says_which_images_it_lacks(yard: Yard) -> None:
    draft = yard.draft
    makers = image_makers(draft.programs, yard.runner, debian=draft.debian, kubernetes="v1.37.2", coredns="1.14.7")
    there = makers["agnhost", "v1.37.2"]().digest
    yard.runs(ON, OFF, images=Registry(agnhost=there, coredns="sha256:of-an-older-one"))
    plan = yard.plan()
    assert told(plan, "image agnhost:v1.37.2") == (Verb.SKIP, "already in the registry")
    assert told(plan, "image coredns:1.14.7")[1].startswith("not in the registry yet")


def test_images_of_programs_that_are_not_built_yet_are_not_asked_for(yard: Yard) -> None:
    yard.runs(ON, OFF)
    yard.draft = replace(yard.draft, built=False)
    (yard.folder / "programs/coredns").unlink()
    assert yard.plan()["image coredns:1.14.7"].reason.startswith("made of what is built first")


def test_a_registry_that_is_down_is_not_asked(yard: Yard) -> None:
    yard.runs(ON, OFF, without=TAKES.name)
    assert yard.plan()["image coredns:1.14.7"].reason == "sent if the registry lacks it, which does not run yet"


@pytest.mark.skipif(shutil.which("catatonit") is None, reason="the pause image is made of Debian's catatonit")
def test_a_registry_that_does_not_answer_yet_is_no_end_of_the_plan(yard: Yard) -> None:
    yard.runs(ON, OFF, images=Silent())
    assert yard.plan()["image coredns:1.14.7"].reason == "sent if the registry lacks it, which does not answer now"


def test_a_certificate_whose_authority_is_lost_is_made_anew(yard: Yard) -> None:
    yard.was_up()
    (yard.folder / "pki/front-proxy-ca.crt").unlink()
    plan = yard.plan()
    assert [name for name in runs(plan) if "certificate" in name] == [
        "certificate front-proxy-ca",
        "certificate front-proxy-client",
    ]
    assert told(plan, "certificate front-proxy-client") == (Verb.RUN, "its authority changed")


def test_a_machine_that_no_pool_wants_is_drained_and_deleted(yard: Yard) -> None:
    yard.runs(ON, replace(OFF, state=MachineState.RUNNING), THIRD)
    plan = yard.plan()
    assert told(plan, "drain node system-3") == (Verb.RUN, "before it goes: pool system has count 2")
    assert told(plan, "delete machine system-3") == (Verb.RUN, "pool system has count 2")


def test_a_drain_that_bare_pods_would_refuse_is_refused_in_the_plan_too(yard: Yard) -> None:
    yard.runs(ON, OFF, THIRD)
    assert yard.nodes is not None
    yard.nodes.pods = ({"metadata": {"name": "alone", "namespace": "default"}},)
    with pytest.raises(UserError, match="would be lost"):
        yard.plan()


def test_a_control_plane_that_is_not_ours_gets_no_certificates_and_no_add_ons(yard: Yard) -> None:
    yard.draft = replace(yard.draft, joined=True, nodes=1)
    plan = yard.plan()
    assert told(plan, "control plane") == (Verb.SKIP, "machines join one that is not ours")
    assert not [name for name in plan if name.startswith(("certificate", "add-on", "process kube"))]
    assert "create machine joined-1" in plan


def test_a_count_for_pools_that_exist_is_said_to_change_nothing(yard: Yard) -> None:
    yard.runs(ON, OFF)
    yard.draft = replace(yard.draft, nodes=1)
    verb, reason = told(yard.plan(), "node pools")
    assert verb is Verb.SKIP
    assert "`bedplate nodepool scale --name system --node-count 1` does" in reason
    yard.draft = replace(yard.draft, nodes=2)
    assert told(yard.plan(), "node pools") == (Verb.SKIP, "there is system")


def test_a_repository_of_releases_is_served(yard: Yard) -> None:
    yard.draft = replace(yard.draft, releases=yard.folder)
    assert "process releases" in yard.plan()
