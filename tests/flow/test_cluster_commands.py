"""The commands of a cluster that is up: an open cell with nothing in it but what a test puts there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from bedplate.cli.main import main
from bedplate.host.clock import SystemClock
from bedplate.host.locks import alone
from bedplate.local.cell.client import find_cell, open_cell
from bedplate.local.machines.firmware import CODE, FOLDER
from bedplate.local.machines.qemu import CONSOLE, Accelerator
from bedplate.local.machines.records import MachineRecord, encode
from bedplate.local.order import RECORD, ClusterOrder
from bedplate.local.pki import ensure_pki
from bedplate.local.pools.store import read_pools, write_pool
from bedplate.model.pools import NodePool, PoolMode
from bedplate.wire.cell import ProcessSpec
from tests.flow.test_cell import namespaces_work

pytestmark = pytest.mark.skipif(
    not namespaces_work() or not (FOLDER / CODE).exists(),
    reason="a cell needs namespaces, which not every machine allows, and machines the package ovmf",
)

VERSION = "Bedplate-1.37-amd64-202611.24.0"
SYSTEM = NodePool(
    name="system", node_image_version=VERSION, orchestrator_version="1.37.2", count=1, mode=PoolMode.SYSTEM
)
MACHINE = MachineRecord(1, "system-1", "system", "/nowhere", 2048, 2, ())


@dataclass(frozen=True)
class Local:
    """The local cluster of a state folder of its own."""

    state: Path

    def run(self, *arguments: str) -> int:
        """The exit code of a command, which goes by that state folder."""
        return main(arguments, {**os.environ, "XDG_STATE_HOME": str(self.state)})

    @property
    def folder(self) -> Path:
        return self.state / "bedplate/clusters/local"

    @property
    def machine(self) -> Path:
        return self.folder / "machines" / MACHINE.name

    def lay_out(self) -> None:
        order = ClusterOrder(
            programs={name: Path("/bin/false") for name in PROGRAMS},
            manifests=self.folder,
            debian=self.folder,
            image=self.folder,
            image_version=VERSION,
            firmware=self.folder,
            kubernetes="v1.37.2",
            coredns="1.14.7",
            accelerator=Accelerator.TCG,
            api_port=26443,
        )
        ensure_pki(self.folder / "pki", SystemClock())
        (self.folder / RECORD).write_bytes(msgspec.json.encode(order, enc_hook=str))
        for old in (self.folder / "pools").glob("*"):
            old.unlink()
        write_pool(self.folder / "pools", SYSTEM)
        self.machine.mkdir(parents=True, exist_ok=True)
        (self.machine / "machine.json").write_bytes(encode(MACHINE))
        (self.machine / CONSOLE).write_bytes(b"[    0.000000] Linux version\n")

    def pools(self) -> tuple[NodePool, ...]:
        return read_pools(self.folder / "pools")


PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    state = tmp_path_factory.mktemp("state")
    folder = state / "bedplate/clusters/local/cell"
    cell = open_cell(folder, relays={})
    yield state
    if find_cell(folder):
        cell.shutdown()


@pytest.fixture
def local(state: Path) -> Local:
    local = Local(state)
    local.lay_out()
    return local


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    read: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return read


def test_the_cluster_is_up_with_what_it_is_made_of(local: Local, capsys: pytest.CaptureFixture[str]) -> None:
    assert local.run("cluster", "status", "--output=json") == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["state"], status["server"], status["node_image"]) == ("up", "https://127.0.0.1:26443", VERSION)
    assert status["kubeconfig"] == str(local.folder / "admin.yaml")


def test_pools_are_listed_and_shown(local: Local, capsys: pytest.CaptureFixture[str]) -> None:
    assert local.run("nodepool", "list", "-o", "json") == 0
    assert [(row["name"], row["count"], row["mode"]) for row in rows(capsys)] == [("system", 1, "System")]
    assert local.run("nodepool", "show", "--name=system") == 0
    said = capsys.readouterr().out.splitlines()
    assert ["KubernetesVersion:", "1.37.2"] in [line.split() for line in said]
    assert ["DrainTimeoutInMinutes:", "30"] in [line.split() for line in said]


def test_a_pool_whose_machine_is_off_has_not_succeeded(local: Local, capsys: pytest.CaptureFixture[str]) -> None:
    assert local.run("nodepool", "list") == 0
    header, row = capsys.readouterr().out.splitlines()
    told = dict(zip(header.split(), row.split(), strict=True))
    # No API server runs here, so that nobody knows of Ready nodes.
    assert (told["ProvisioningState"], told["PowerState"], told["Count"], told["Ready"]) == (
        "Failed",
        "Stopped",
        "1",
        "-",
    )


def test_a_pool_is_updating_while_another_command_has_the_cluster(
    local: Local, capsys: pytest.CaptureFixture[str]
) -> None:
    with alone(local.folder.parent / "local.lock", doing="changing pools"):
        assert local.run("nodepool", "list", "--output=json") == 0
    assert [row["provisioningState"] for row in rows(capsys)] == ["Updating"]


def test_a_machine_without_its_process_is_stopped(local: Local, capsys: pytest.CaptureFixture[str]) -> None:
    assert local.run("node", "list", "-o", "json") == 0
    assert [(row["name"], row["state"], row["address"]) for row in rows(capsys)] == [
        ("system-1", "stopped", "10.75.0.11")
    ]
    assert local.run("node", "show", "system-1") == 0
    assert "stopped" in capsys.readouterr().out


def test_the_console_is_printed_as_it_is(local: Local, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert local.run("node", "console", "system-1") == 0
    assert capfdbinary.readouterr().out == b"[    0.000000] Linux version\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nodepool", "add", "--name=Bad_Name"], "name: 'Bad_Name' is not allowed."),
        (["nodepool", "add", "--name=system"], "There is a node pool system already."),
        (["nodepool", "add", "--name=x", "--node-count=-1"], "count: -1 is not allowed."),
        (["nodepool", "add", "--name=x", "--node-count=500"], "at most 200 machines"),
        (["nodepool", "add", "--name=x", "--labels=novalue"], "'novalue' is not a label."),
        (["nodepool", "add", "--name=x", "--labels=a b=c"], "nodeLabels: 'a b' is not a label's name."),
        (["nodepool", "add", "--name=x", "--labels=kubernetes.io/x=c"], "is not for nodes to set"),
        (["nodepool", "add", "--name=x", "--node-taints=bad"], "nodeTaints: 'bad' is not a taint."),
        (["nodepool", "add", "--name=x", "--node-taints=a=b:NoSchedule,bad"], "nodeTaints: 'bad' is not a taint."),
        (["nodepool", "add", "--name=x", "--drain-timeout=4"], "drainTimeoutInMinutes: 4 is not allowed."),
        (["nodepool", "scale", "--name=system", "--node-count=2", "--drain-timeout=0"], "greater than or equal to 1"),
        (["nodepool", "add", "--name=x", "--mode=Other"], "is not one of 'User', 'System'"),
        (["nodepool", "add"], "Missing option '--name'"),
        (["nodepool", "scale", "--name=ghost", "--node-count=1"], "There is no node pool ghost."),
        (["nodepool", "scale", "--name=system", "--node-count=0"], "A System pool has 1 to 1000."),
        (["nodepool", "scale", "--name=system", "--node-count=201"], "at most 200 machines"),
        (["nodepool", "scale", "--name=system", "--node-count=many"], "valid integer"),
        (["nodepool", "delete", "--name=ghost"], "There is no node pool ghost."),
        (["nodepool", "delete", "--name=system"], "A cluster needs a System pool."),
        (["nodepool", "show", "--name=ghost"], "There is no node pool ghost."),
        (["node", "show", "ghost"], "There is no node ghost."),
        (["node", "console", "ghost"], "There is no machine ghost."),
        (["node", "restart", "ghost"], "There is no node ghost."),
        (["cluster", "up", "--api-port=7443"], "is up with API port 26443"),
        (["cluster", "up", "--api-port=70000"], "less than or equal to 65535"),
        (["cluster", "up", "--nodes=201"], "less than or equal to 200"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_told_and_changes_nothing(
    local: Local, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    before = {path: path.read_bytes() for path in local.folder.rglob("*.json")}
    assert local.run(*arguments) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert told in said
    assert {path: path.read_bytes() for path in local.folder.rglob("*.json")} == before


@pytest.mark.parametrize(
    ("arguments", "deeds"),
    [
        (
            ["add", "--name=burst", "--node-count=2"],
            {"system-1": "power on", "burst-2": "create", "burst-3": "create"},
        ),
        (["scale", "--name=system", "--node-count=2"], {"system-1": "power on", "system-2": "create"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_dry_run_prints_the_plan_and_changes_nothing(
    local: Local, capsys: pytest.CaptureFixture[str], arguments: list[str], deeds: dict[str, str]
) -> None:
    assert local.run("nodepool", *arguments, "--dry-run", "-o", "json") == 0
    assert {row["name"]: row["deed"] for row in rows(capsys)} == deeds
    assert local.pools() == (SYSTEM,)


def test_a_dry_run_of_deleting_names_the_machines_that_go(local: Local, capsys: pytest.CaptureFixture[str]) -> None:
    write_pool(local.folder / "pools", msgspec.structs.replace(SYSTEM, name="other"))
    assert local.run("nodepool", "delete", "--name=system", "--dry-run", "-o", "json") == 0
    told = {(row["name"], row["deed"]): row["reason"] for row in rows(capsys)}
    assert told["system-1", "delete"] == "there is no pool system any more; it is off, so not drained"
    assert len(local.pools()) == 2


@pytest.mark.parametrize("command", ["add", "scale", "delete"])
def test_pools_are_not_looked_at_while_another_command_may_change_them(
    local: Local, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (local.folder / "pools/system.json").write_bytes(b"{")
    count = [] if command == "delete" else ["--node-count=1"]
    with alone(local.folder.parent / "local.lock", doing="changing pools"):
        assert local.run("nodepool", command, "--name=x", *count) == 2
    assert "(changing pools) is in the way." in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("command", [["nodepool", "list"], ["nodepool", "show", "--name=system"], ["node", "list"]])
def test_looking_makes_no_certificate(local: Local, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    certificate = local.folder / "pki/admin.crt"
    certificate.unlink()
    assert local.run(*command) == 70
    assert not certificate.exists()
    assert "it makes them anew" in " ".join(capsys.readouterr().err.split())


def test_a_pool_file_that_is_damaged_is_named(local: Local, capsys: pytest.CaptureFixture[str]) -> None:
    (local.folder / "pools/system.json").write_bytes(b"{")
    assert local.run("nodepool", "list") == 70
    said = capsys.readouterr().err
    assert "pools/system.json is not a node pool." in said
    assert "What to do:" in said


def test_a_cluster_whose_record_is_damaged_says_how_to_be_rid_of_it(
    local: Local, capsys: pytest.CaptureFixture[str]
) -> None:
    (local.folder / RECORD).write_bytes(b"{")
    assert local.run("cluster", "status") == 70
    assert "bedplate cluster down --all" in capsys.readouterr().err


def test_what_runs_is_listed_and_what_was_stopped_is_not(local: Local, capsys: pytest.CaptureFixture[str]) -> None:
    cell = find_cell(local.folder / "cell")
    assert cell is not None
    cell.start(ProcessSpec(name="runs", argv=("sleep", "1000"), log=str(local.folder / "runs.log")))
    cell.start(ProcessSpec(name="stopped", argv=("sleep", "1000"), log=str(local.folder / "stopped.log")))
    cell.stop("stopped")
    assert local.run("cluster", "processes", "-o", "json") == 0
    assert [(row["process"], row["state"], row["restarts"]) for row in rows(capsys)] == [("runs", "running", 0)]
    cell.stop("runs")


def test_clusters_are_for_their_owner_alone(local: Local) -> None:
    clusters = local.folder.parent
    clusters.chmod(0o755)
    assert local.run("nodepool", "delete", "--name=ghost") == 2
    assert clusters.stat().st_mode & 0o777 == 0o700


def test_down_ends_the_cell_and_all_removes_what_it_had(local: Local, capsys: pytest.CaptureFixture[str]) -> None:
    assert local.run("cluster", "down") == 0
    assert find_cell(local.folder / "cell") is None
    assert local.pools() == (SYSTEM,)
    assert local.run("cluster", "down", "--all") == 0
    assert not local.folder.exists()
    assert "it is not up" in capsys.readouterr().err
    assert local.run("cluster", "status") == 0
    assert "not made yet" in capsys.readouterr().out
