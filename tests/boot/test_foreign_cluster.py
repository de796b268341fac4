"""A machine joins a control plane that is not its cluster's own: here one of another cluster on this computer."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from bedplate.host import sockets
from bedplate.host.run import ProgramFailed, SystemRunner
from bedplate.local.probe import pod

pytestmark = pytest.mark.vm

RUNNER = SystemRunner()
UP_SECONDS = 3600.0
NODE = "joined-1"


def port() -> str:
    with sockets.listen_tcp(0) as door:
        return str(door.getsockname()[1])


@dataclass(frozen=True)
class Home:
    """A state folder with a cluster in it, and the port of its registry."""

    state: Path
    registry: str = field(default_factory=port)

    @property
    def cluster(self) -> Path:
        return self.state / "bedplate/clusters/local"

    @property
    def kubeconfig(self) -> Path:
        return self.cluster / "admin.yaml"

    def bedplate(self, *arguments: str) -> str:
        env = {"XDG_STATE_HOME": str(self.state)}
        argv = [sys.executable, "-m", "bedplate.cli", *arguments]
        try:
            return RUNNER.run(argv, env=env, seconds=UP_SECONDS).text
        except ProgramFailed as problem:
            consoles = [file.read_text(errors="replace")[-4000:] for file in self.cluster.glob("machines/*/*.log")]
            raise AssertionError("\n".join([str(problem), *consoles])) from problem

    def up(self, *arguments: str) -> None:
        self.bedplate("cluster", "up", f"--registry-port={self.registry}", *arguments)

    def kubectl(self, *arguments: str, stdin: bytes | None = None) -> str:
        argv = [self.cluster / "bin/kubectl", f"--kubeconfig={self.kubeconfig}", *arguments]
        return RUNNER.run(argv, stdin=stdin, seconds=300).text


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A control plane without nodes."""
    home = Home(tmp_path_factory.mktemp("theirs"))
    try:
        home.up("--nodes=0", f"--api-port={port()}")
        yield home
    finally:
        home.bedplate("cluster", "down", "--all")


@pytest.fixture(scope="module")
def ours(theirs: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A machine of ours that has joined it."""
    home = Home(tmp_path_factory.mktemp("ours"))
    try:
        home.up(f"--kubeconfig={theirs.kubeconfig}", "--nodes=1")
        yield home
    finally:
        home.bedplate("cluster", "down", "--all")


def test_the_node_is_ready_in_the_cluster_it_joined(theirs: Home, ours: Home) -> None:
    status = json.loads(ours.bedplate("cluster", "status", "--output=json"))
    assert (status["state"], status["kubeconfig"]) == ("up", str(theirs.kubeconfig))
    theirs.kubectl("wait", f"node/{NODE}", "--for=condition=Ready", "--timeout=60s")
    assert {line["process"] for line in json.loads(ours.bedplate("cluster", "processes", "--output=json"))} == {
        "dnsmasq",
        "registry",
        "way-out",
        f"machine-{NODE}",
    }


def test_a_pod_runs_there(theirs: Home, ours: Home) -> None:
    version = json.loads(ours.bedplate("cluster", "status", "--output=json"))["kubernetes"]
    manifest = pod(NODE, f"bedplate.local/agnhost:{version}", ["pause"])
    theirs.kubectl("apply", "-f", "-", stdin=msgspec.json.encode(manifest))
    theirs.kubectl("wait", "pod/probe", "--for=condition=Ready", "--timeout=240s")
    theirs.kubectl("delete", "pod/probe", "--now")


def test_coming_up_again_finds_everything_there(theirs: Home, ours: Home) -> None:
    ours.up()
    assert theirs.kubectl("get", "nodes", "-o=name").split() == [f"node/{NODE}"]


def test_going_takes_node_and_token_along(theirs: Home, ours: Home) -> None:
    token = json.loads((ours.cluster / "token.json").read_text())["id"]
    secret = f"secret/bootstrap-token-{token}"
    assert secret in tokens(theirs)
    ours.bedplate("cluster", "down", "--all")
    assert theirs.kubectl("get", "nodes", "-o=name") == ""
    assert secret not in tokens(theirs)


def tokens(home: Home) -> list[str]:
    return home.kubectl("get", "secrets", "--namespace=kube-system", "-o=name").split()
