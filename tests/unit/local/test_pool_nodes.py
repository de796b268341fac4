"""When a node counts as Ready."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from bedplate.local.pools.nodes import not_ready

NOW = datetime(2026, 11, 24, 6, 0, 0, 500_000, tzinfo=UTC)


def node(name: str, status: str, heartbeat: datetime, message: str = "") -> dict[str, object]:
    condition = {
        "type": "Ready",
        "status": status,
        "message": message,
        "lastHeartbeatTime": heartbeat.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {"metadata": {"name": name}, "status": {"conditions": [condition]}}


def document(*nodes: dict[str, object]) -> bytes:
    return json.dumps({"kind": "NodeList", "items": nodes}).encode()


@pytest.mark.parametrize(
    ("nodes", "left"),
    [
        ([], {"n1": "has not joined yet"}),
        ([node("other", "True", NOW)], {"n1": "has not joined yet"}),
        ([node("n1", "False", NOW, "no network yet")], {"n1": "no network yet"}),
        ([node("n1", "Unknown", NOW)], {"n1": "Ready is Unknown"}),
        ([node("n1", "True", NOW)], {}),
    ],
)
def test_what_a_node_waits_for(nodes: list[dict[str, object]], left: dict[str, str]) -> None:
    assert not_ready(document(*nodes), {"n1": NOW}) == left


def test_what_a_node_said_before_it_was_switched_on_does_not_count() -> None:
    before = node("n1", "True", NOW - timedelta(seconds=1))
    assert not_ready(document(before), {"n1": NOW}) == {"n1": "has not told its state since it was switched on"}


def test_a_node_without_conditions_has_not_told_its_state() -> None:
    silent = {"metadata": {"name": "n1"}, "status": {}}
    assert "n1" in not_ready(document(silent), {"n1": NOW})
