"""A machine joins a control plane that is not its cluster's own: here one of another cluster on this computer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import pytest

from bedplate.local.probe import pod
from bedplate.testing.home import Home, free_port

pytestmark = pytest.mark.vm

NODE = "joined-1"


@dataclass(frozen=True)
class OneOfTwo(Home):
    """A cluster beside another, with a registry port of its own."""

    registry: int = field(default_factory=free_port)

    def up(self, *arguments: str) -> None:
        self.bedplate("cluster", "up", f"--registry-port={self.registry}", *arguments)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneOfTwo]:
    """A control plane without nodes."""
    home = OneOfTwo(tmp_path_factory.mktemp("theirs"))
    try:
        home.up("--nodes=0", f"--api-port={free_port()}")
        yield home
    finally:
        home.bedplate("cluster", "down", "--all")


@pytest.fixture(scope="module")
def ours(theirs: OneOfTwo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneOfTwo]:
    """A machine of ours that has joined it."""
    home = OneOfTwo(tmp_path_factory.mktemp("ours"))
    try:
        home.up(f"--kubeconfig={theirs.kubeconfig}", "--nodes=1")
        yield home
    finally:
        home.bedplate("cluster", "down", "--all")


def test_the_node_is_ready_in_the_cluster_it_joined(theirs: OneOfTwo, ours: OneOfTwo) -> None:
    status = json.loads(ours.bedplate("cluster", "status", "--output=json"))
    assert (status["state"], status["kubeconfig"]) == ("up", str(theirs.kubeconfig))
    theirs.kubectl("wait", f"node/{NODE}", "--for=condition=Ready", "--timeout=60s")
    assert {line["process"] for line in json.loads(ours.bedplate("cluster", "processes", "--output=json"))} == {
        "dnsmasq",
        "registry",
        "registry-read-only",
        "way-out",
        f"machine-{NODE}",
    }


def test_a_pod_runs_there(theirs: OneOfTwo, ours: OneOfTwo) -> None:
    version = json.loads(ours.bedplate("cluster", "status", "--output=json"))["kubernetes"]
    manifest = pod(NODE, f"bedplate.local/agnhost:{version}", ["pause"])
    theirs.kubectl("apply", "-f", "-", stdin=msgspec.json.encode(manifest))
    theirs.kubectl("wait", "pod/probe", "--for=condition=Ready", "--timeout=240s")
    assert theirs.kubectl("get", "pod/probe", "-o=jsonpath={.spec.nodeName} {.status.phase}") == f"{NODE} Running"
    theirs.kubectl("delete", "pod/probe", "--now")


def test_coming_up_again_finds_everything_there(theirs: OneOfTwo, ours: OneOfTwo) -> None:
    ours.up()
    assert theirs.kubectl("get", "nodes", "-o=name").split() == [f"node/{NODE}"]


def test_going_takes_node_and_token_along(theirs: OneOfTwo, ours: OneOfTwo) -> None:
    token = json.loads((ours.cluster / "token.json").read_text())["id"]
    secret = f"secret/bootstrap-token-{token}"
    assert secret in tokens(theirs)
    ours.bedplate("cluster", "down", "--all")
    assert theirs.kubectl("get", "nodes", "-o=name") == ""
    assert secret not in tokens(theirs)


def tokens(home: Home) -> list[str]:
    return home.kubectl("get", "secrets", "--namespace=kube-system", "-o=name").split()
