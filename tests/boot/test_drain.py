"""A pool that shrinks moves its pods first, as fast as their budget allows, or does not shrink at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.host.clock import SystemClock, wait_until
from bedplate.host.run import start
from bedplate.testing.home import Home, free_port, home_with_our_keys

pytestmark = pytest.mark.vm

CLOCK = SystemClock()
AVAILABLE = '-o=jsonpath={.status.availableReplicas}{"\\n"}'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Two nodes, and both pods of the demo on the one that goes first."""
    home = home_with_our_keys(tmp_path_factory.mktemp("state"))
    try:
        home.bedplate("cluster", "up", f"--api-port={free_port()}", f"--registry-port={free_port()}")
        home.kubectl("cordon", "system-1")
        home.kubectl("apply", "-f", str(home.cluster / "demo.yaml"))
        home.kubectl("rollout", "status", "deployment/web", "--timeout=280s")
        home.kubectl("uncordon", "system-1")
        yield home
    finally:
        home.bedplate("cluster", "down", "--all")


def allow(home: Home, *, least: int) -> None:
    """A budget that the demo keeps `least` pods at all times, once the cluster has counted for it."""
    home.kubectl("delete", "pdb", "web", "--ignore-not-found")
    home.kubectl("create", "pdb", "web", "--selector=app=web", f"--min-available={least}")
    counted = "--for=jsonpath={.status.currentHealthy}=2"
    home.kubectl("wait", "pdb/web", counted, "--timeout=60s")


def places(home: Home) -> set[str]:
    return set(home.kubectl("get", "pods", "-l=app=web", "-o=jsonpath={.items[*].spec.nodeName}").split())


def test_a_plan_shows_the_drain_before_the_machine_goes(home: Home) -> None:
    plan = json.loads(
        home.bedplate("nodepool", "scale", "--name=system", "--node-count=1", "--dry-run", "--output=json")
    )
    assert [(action["deed"], action["name"]) for action in plan] == [
        ("drain", "system-2"),
        ("delete", "system-2"),
        ("keep", "system-1"),
    ]


def test_a_budget_that_allows_no_disruption_stops_it_and_is_named(home: Home) -> None:
    allow(home, least=2)
    pods = home.kubectl("get", "pods", "-l=app=web", "-o=jsonpath={.items[*].metadata.name}").split()
    said = home.refusal("nodepool", "scale", "--name=system", "--node-count=1", "--drain-timeout=1", code=4)
    assert "Node system-2 could not be drained within 1 min." in said
    for pod in pods:
        assert f"default/{pod}: held by budget web (2 healthy, 2 required)" in said


def test_after_that_everything_is_as_it_was(home: Home) -> None:
    (pool,) = json.loads(home.bedplate("nodepool", "list", "--output=json"))
    assert pool["count"] == 2
    nodes = json.loads(home.kubectl("get", "nodes", "-o=json"))["items"]
    assert [(node["metadata"]["name"], node["spec"].get("unschedulable", False)) for node in nodes] == [
        ("system-1", False),
        ("system-2", False),
    ]
    assert places(home) == {"system-2"}


def test_with_room_in_the_budget_the_service_stays_available_while_its_node_goes(home: Home, tmp_path: Path) -> None:
    allow(home, least=1)
    seen = tmp_path / "available.log"
    # It ends with the connection to the API server, when the cluster goes down.
    start(home.admin.argv("get", "deployment/web", "--watch", AVAILABLE), log=seen)
    wait_until(lambda: "" if seen.read_text() else "nothing seen", CLOCK, seconds=60, every=0.5)
    home.bedplate("nodepool", "scale", "--name=system", "--node-count=1")
    available = seen.read_text().splitlines()
    assert {"1", "2"} <= set(available)
    assert set(available) <= {"1", "2"}
    assert home.kubectl("get", "nodes", "-o=name").split() == ["node/system-1"]
    assert places(home) == {"system-1"}
