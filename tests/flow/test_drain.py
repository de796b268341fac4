"""Nodes are emptied, or left as they were, against kubectl and an API server in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from bedplate.host.run import Completed, ProgramFailed
from bedplate.local.kubectl import Kubectl
from bedplate.local.pools.drain import SLICE_SECONDS, Drainer
from bedplate.model.errors import PeerError, UserError
from bedplate.model.pools import UndrainableNodeBehavior, UpgradeSettings
from bedplate.testing.clock import FakeClock
from bedplate.testing.runner import FakeRunner

NODES = ("np-1", "np-2")
NEVER = 10**9


@dataclass
class Kubernetes:
    """Two nodes whose pods leave after so many seconds of draining; it plays kubectl and the API server alike.

    `pods` are seconds by node and name; `held` those that the budget `web` holds, `lost` nodes that are not Ready.
    `gives_up` makes `kubectl drain` fail at once with these words, `interrupts` as if by Ctrl-C.
    """

    clock: FakeClock
    pods: dict[str, dict[str, int]] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    alone: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    cordoned: set[str] = field(default_factory=set)
    gives_up: str = ""
    interrupts: bool = False
    stuck: bool = False
    commands: list[tuple[str, ...]] = field(default_factory=list)

    def kubectl(self, command: tuple[str, ...]) -> Completed:
        verb, *names = command[2:]
        self.commands.append((verb, *(name for name in names if not name.startswith("--"))))
        if verb == "cordon":
            self.cordoned |= set(names)
        elif verb == "uncordon":
            if self.stuck:
                return Completed(command, 1, b"", b"refused", 0.1)
            self.cordoned -= set(names)
        else:
            return self._drain(command, names[0])
        return Completed(command, 0, b"", b"", 0.1)

    def _drain(self, command: tuple[str, ...], node: str) -> Completed:
        assert node in self.cordoned
        if self.interrupts:
            raise KeyboardInterrupt
        if self.gives_up:
            return Completed(command, 1, b"", f"Warning: ignoring DaemonSet x\n{self.gives_up}\n".encode(), 0.2)
        pods = self.pods.get(node, {})
        last = max(pods.values(), default=0)
        spent = min(last, SLICE_SECONDS)
        self.clock.sleep(spent)
        self.pods[node] = {name: left - spent for name, left in pods.items() if left > spent}
        return Completed(command, int(bool(self.pods[node])), b"", b"timeout reached", spent)

    def api(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/pods"):
            node = request.url.params["fieldSelector"].removeprefix("spec.nodeName=")
            return httpx.Response(200, json={"items": [self._pod(name) for name in self.pods.get(node, {})]})
        if request.url.path.endswith("/poddisruptionbudgets"):
            return httpx.Response(200, json={"items": [BUDGET]})
        return httpx.Response(200, json={"items": [self._node(name) for name in NODES]})

    def _pod(self, name: str) -> dict[str, object]:
        owners = [] if name in self.alone else [{"kind": "ReplicaSet", "controller": True}]
        labels = {"app": "web"} if name in self.held else {}
        return {"metadata": {"name": name, "namespace": "default", "labels": labels, "ownerReferences": owners}}

    def _node(self, name: str) -> dict[str, object]:
        status = "Unknown" if name in self.lost else "True"
        ready = {"type": "Ready", "status": status}
        spec = {"unschedulable": True} if name in self.cordoned else {}
        return {"metadata": {"name": name}, "spec": spec, "status": {"conditions": [ready]}}


BUDGET = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"selector": {"matchLabels": {"app": "web"}}},
    "status": {"disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2},
}


@pytest.fixture
def kubernetes() -> Kubernetes:
    return Kubernetes(FakeClock())


@pytest.fixture
def told() -> list[str]:
    """What was said to be waited for."""
    return []


def drain(kubernetes: Kubernetes, told: list[str], *names: str, settings: UpgradeSettings | None = None) -> None:
    kubectl = Kubectl(FakeRunner(kubernetes.kubectl), Path("kubectl"), Path("admin.yaml"))
    with httpx.Client(base_url="https://api", transport=httpx.MockTransport(kubernetes.api)) as api:
        Drainer(kubectl, api, kubernetes.clock, settings or UpgradeSettings()).drain(names, told.append)


def test_an_empty_node_is_cordoned_and_drained_at_once(kubernetes: Kubernetes, told: list[str]) -> None:
    drain(kubernetes, told, "np-2")
    assert kubernetes.commands == [("cordon", "np-2"), ("drain", "np-2")]
    assert (told, kubernetes.clock.monotonic()) == (["np-2"], 0)


def test_all_nodes_are_cordoned_before_the_first_pod_leaves(kubernetes: Kubernetes, told: list[str]) -> None:
    drain(kubernetes, told, *NODES)
    assert kubernetes.commands == [("cordon", "np-1", "np-2"), ("drain", "np-1"), ("drain", "np-2")]


def test_what_is_waited_for_is_told_until_it_is_gone(kubernetes: Kubernetes, told: list[str]) -> None:
    kubernetes.pods = {"np-2": {"a": 3, "b": 15}}
    drain(kubernetes, told, "np-2")
    assert told == ["np-2: default/a: has not left yet, and 1 more", "np-2: default/b: has not left yet"]


def test_a_budget_that_holds_a_pod_for_too_long_is_named_with_it(kubernetes: Kubernetes, told: list[str]) -> None:
    kubernetes.pods, kubernetes.held = {"np-2": {"web-1": NEVER}}, {"web-1"}
    with pytest.raises(PeerError, match="Node np-2 could not be drained within 30 min") as caught:
        drain(kubernetes, told, "np-2")
    assert caught.value.details == "default/web-1: held by budget web (2 healthy, 2 required)"
    assert "No machine was deleted" in caught.value.resolution
    assert 1800 <= kubernetes.clock.monotonic() < 1800 + 2 * SLICE_SECONDS


def test_the_time_is_that_of_the_pool(kubernetes: Kubernetes, told: list[str]) -> None:
    kubernetes.pods = {"np-2": {"web-1": NEVER}}
    with pytest.raises(PeerError, match="within 5 min"):
        drain(kubernetes, told, "np-2", settings=UpgradeSettings(drain_timeout_in_minutes=5))
    assert 300 <= kubernetes.clock.monotonic() < 300 + 2 * SLICE_SECONDS


def test_nodes_that_stay_take_pods_again(kubernetes: Kubernetes, told: list[str]) -> None:
    kubernetes.pods = {"np-1": {"web-1": NEVER}}
    with pytest.raises(PeerError):
        drain(kubernetes, told, *NODES)
    assert kubernetes.cordoned == set()


def test_a_node_that_was_cordoned_before_stays_so(kubernetes: Kubernetes, told: list[str]) -> None:
    kubernetes.pods, kubernetes.cordoned = {"np-1": {"web-1": NEVER}}, {"np-2"}
    with pytest.raises(PeerError):
        drain(kubernetes, told, *NODES)
    assert kubernetes.cordoned == {"np-2"}


def test_a_pool_may_want_its_nodes_to_stay_cordoned(kubernetes: Kubernetes, told: list[str]) -> None:
    kubernetes.pods = {"np-2": {"web-1": NEVER}}
    settings = UpgradeSettings(undrainable_node_behavior=UndrainableNodeBehavior.CORDON)
    with pytest.raises(PeerError) as caught:
        drain(kubernetes, told, "np-2", settings=settings)
    assert kubernetes.cordoned == {"np-2"}
    assert "stay cordoned until `kubectl uncordon`" in caught.value.resolution


def test_a_pod_that_would_be_lost_stops_it_before_anything_is_changed(kubernetes: Kubernetes, told: list[str]) -> None:
    kubernetes.pods, kubernetes.alone = {"np-2": {"debug": 1}}, {"debug"}
    with pytest.raises(UserError, match="would be lost") as caught:
        drain(kubernetes, told, *NODES)
    assert caught.value.details == "np-2: default/debug: no controller would start it again"
    assert kubernetes.commands == []


def test_a_node_that_is_lost_meanwhile_is_not_waited_for(kubernetes: Kubernetes, told: list[str]) -> None:
    kubernetes.pods, kubernetes.lost = {"np-2": {"web-1": NEVER}}, {"np-2"}
    drain(kubernetes, told, "np-2")
    assert kubernetes.clock.monotonic() == SLICE_SECONDS


def test_what_kubectl_refuses_is_not_tried_for_half_an_hour(kubernetes: Kubernetes, told: list[str]) -> None:
    kubernetes.gives_up = "error: pods is forbidden"
    with pytest.raises(PeerError, match="Node np-2 cannot be drained") as caught:
        drain(kubernetes, told, "np-2")
    assert caught.value.details == "error: pods is forbidden"
    assert (kubernetes.clock.monotonic(), kubernetes.cordoned) == (0, set())


def test_after_ctrl_c_the_node_takes_pods_again(kubernetes: Kubernetes, told: list[str]) -> None:
    kubernetes.interrupts = True
    with pytest.raises(KeyboardInterrupt):
        drain(kubernetes, told, "np-2")
    assert kubernetes.commands[-1] == ("uncordon", "np-2")


def test_a_node_that_cannot_be_uncordoned_is_told_beside_the_reason(kubernetes: Kubernetes, told: list[str]) -> None:
    kubernetes.gives_up, kubernetes.stuck = "error: pods is forbidden", True
    with pytest.raises(ExceptionGroup) as caught:
        drain(kubernetes, told, "np-2")
    assert [type(each) for each in caught.value.exceptions] == [PeerError, ProgramFailed]


def test_an_api_server_that_does_not_answer_changes_nothing(kubernetes: Kubernetes, told: list[str]) -> None:
    kubectl = Kubectl(FakeRunner(kubernetes.kubectl), Path("kubectl"), Path("admin.yaml"))
    broken = httpx.MockTransport(lambda _: httpx.Response(500))
    with httpx.Client(base_url="https://api", transport=broken) as api, pytest.raises(PeerError, match="does not tell"):
        Drainer(kubectl, api, kubernetes.clock, UpgradeSettings()).drain(["np-2"], told.append)
    assert kubernetes.commands == []
