"""When a node counts as Ready."""

from __future__ import annotations

import json

import pytest

from bedplate.local.pools.nodes import ANY, not_ready

BEFORE, NOW = "boot 1", "boot 2"


def node(name: str, status: str, boot: str = NOW, message: str = "") -> dict[str, object]:
    condition = {"type": "Ready", "status": status, "message": message}
    return {"metadata": {"name": name}, "status": {"conditions": [condition], "nodeInfo": {"bootID": boot}}}


def document(*nodes: dict[str, object]) -> bytes:
    return json.dumps({"kind": "NodeList", "items": nodes}).encode()


@pytest.mark.parametrize("before", [ANY, BEFORE])
@pytest.mark.parametrize(
    ("nodes", "left"),
    [
        ([], {"n1": "has not joined yet"}),
        ([node("other", "True")], {"n1": "has not joined yet"}),
        ([node("n1", "False", message="no network yet")], {"n1": "no network yet"}),
        ([node("n1", "Unknown")], {"n1": "Ready is Unknown"}),
        ([node("n1", "True")], {}),
    ],
)
def test_what_a_node_waits_for(before: str, nodes: list[dict[str, object]], left: dict[str, str]) -> None:
    assert not_ready(document(*nodes), {"n1": before}) == left


def test_what_a_node_said_in_the_boot_before_does_not_count() -> None:
    ready = document(node("n1", "True", BEFORE))
    assert not_ready(ready, {"n1": BEFORE}) == {"n1": "has not told its state since it was switched on"}
    assert not_ready(ready, {"n1": ANY}) == {}


@pytest.mark.parametrize("before", [ANY, BEFORE])
def test_a_node_without_conditions_has_not_told_its_state(before: str) -> None:
    silent = {"metadata": {"name": "n1"}, "status": {}}
    assert "n1" in not_ready(document(silent), {"n1": before})
