"""Saving and restoring a cluster of one machine, on machines and a control plane that do not exist."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bedplate.host.run import Completed
from bedplate.local.cell.lan import Lan
from bedplate.local.machines.provider import LocalProvider
from bedplate.local.machines.qemu import Accelerator, Firmware
from bedplate.testing.cell import FakeCell
from bedplate.testing.clock import FakeClock
from bedplate.testing.monitor import FakeMonitors
from bedplate.testing.runner import FakeRunner, completed
from bedplate.testing.vm.lab import Lab
from bedplate.testing.vm.machine import VmFailed
from bedplate.testing.vm.saved import SavedCluster
from bedplate.wire.cell import ProcessSpec

PLANE = tuple(ProcessSpec(name=name, argv=(name,), log="/dev/null") for name in ("etcd", "kube-apiserver"))


@dataclass
class FakeApi:
    """An API server that answers while the cell runs one; a node that runs writes its lease, if it is `sound`."""

    cell: FakeCell
    etcd: Path
    sound: bool = True

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self._answer), base_url="https://api")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if "kube-apiserver" not in self.cell.specs:
            raise httpx.ConnectError("refused")
        if request.url.path.endswith("/leases/vm1"):
            if self.sound and "machine-vm1" in self.cell.specs:
                self.etcd.write_text(f"{int(self.etcd.read_text()) + 1}")
            return httpx.Response(200, json={"metadata": {"resourceVersion": self.etcd.read_text()}})
        ready = {"type": "Ready", "status": "True"}
        node = {"metadata": {"name": "vm1"}, "status": {"conditions": [ready]}}
        return httpx.Response(200, json={"items": [node]})


def lay_out(command: tuple[str, ...]) -> Completed:
    """What the programs that make a machine leave on disk."""
    if command[0] == "qemu-img":
        Path(command[-2] if command[1] == "create" else command[-1]).touch()
    return completed(command)


@pytest.fixture
def cell() -> FakeCell:
    return FakeCell()


@pytest.fixture
def lab(tmp_path: Path, cell: FakeCell) -> Lab:
    firmware = Firmware(tmp_path / "code.fd", tmp_path / "vars.fd")
    firmware.variables.touch()
    places = (Lan(cell, tmp_path / "lan"), tmp_path / "machines", tmp_path / "templates")
    clock = FakeClock()
    provider = LocalProvider(
        cell, *places, FakeRunner(lay_out), firmware, Accelerator.TCG, connect=FakeMonitors(), clock=clock
    )
    return Lab(cell, provider, clock, lambda _: None)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    image = tmp_path / "image"
    image.mkdir()
    for name in ("disk.raw", "db.crt"):
        (image / name).touch()
    return image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The cluster's."""
    folder = tmp_path / "cluster"
    for part, content in (("etcd/data", "1"), ("pools/system.json", "{}"), ("known-machines.json", "{}")):
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        (folder / part).write_text(content)
    return folder


@pytest.fixture
def api(cell: FakeCell, folder: Path) -> FakeApi:
    return FakeApi(cell, folder / "etcd/data")


@pytest.fixture
def saved(lab: Lab, image: Path, folder: Path, api: FakeApi, cell: FakeCell) -> SavedCluster:
    vm = lab.boot(image)
    for spec in PLANE:
        cell.start(spec)
    cluster = SavedCluster(vm, PLANE, folder, folder.parent / "kept", api.client)
    cluster.save()
    return cluster


def test_nothing_runs_once_a_cluster_is_saved(saved: SavedCluster, cell: FakeCell) -> None:
    assert saved.lease == "1"
    assert cell.specs == {}


def test_machine_and_control_plane_go_back_together(saved: SavedCluster, cell: FakeCell) -> None:
    saved.restore()
    assert list(cell.specs) == ["etcd", "kube-apiserver", "machine-vm1"]
    assert cell.specs["machine-vm1"].argv[-2:] == ("-loadvm", "ready")


def test_what_was_done_in_the_api_or_to_the_pools_is_taken_back(saved: SavedCluster, folder: Path) -> None:
    saved.restore()
    (folder / "etcd/more").write_text("a pod")
    (folder / "pools/system.json").unlink()
    saved.restore()
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"data", "system.json", "known-machines.json"}


def test_a_machine_that_was_added_is_removed(saved: SavedCluster, lab: Lab, image: Path) -> None:
    saved.restore()
    lab.boot(image)
    saved.restore()
    assert [machine.name for machine in lab.provider.list()] == ["vm1"]


def test_trouble_that_one_test_announced_is_trouble_for_the_next(saved: SavedCluster) -> None:
    saved.restore()
    saved.vm.announce("kernel panic")
    saved.restore()
    assert saved.vm.announced == frozenset()


def test_what_the_node_said_before_it_was_saved_does_not_make_it_ready(saved: SavedCluster, api: FakeApi) -> None:
    api.sound = False
    with pytest.raises(VmFailed, match=r"the node has not renewed its lease\. Its console ends so:\n"):
        saved.restore()
