"""Which pods have to leave a node, and what is said to hold them."""

from __future__ import annotations

import json

import msgspec
import pytest

from bedplate.local.pools.rules import MIRROR, Holdout, has_to_leave, holdouts, orphans, selects
from bedplate.wire.pod import (
    Budget,
    BudgetSpec,
    BudgetStatus,
    Metadata,
    Operator,
    Owner,
    Pod,
    PodStatus,
    Requirement,
    Selector,
    read_budgets,
    read_pods,
)

LABELS = {"app": "web", "tier": "a"}
OF_A_SET = (Owner("ReplicaSet", controller=True),)
WEB = Pod(Metadata("web-1", "default", labels=LABELS, owner_references=OF_A_SET), PodStatus("Running"))
TIGHT = Budget(
    Metadata("web", "default"),
    BudgetSpec(Selector({"app": "web"})),
    BudgetStatus(0, current_healthy=2, desired_healthy=2),
)


def pod(**fields: object) -> Pod:
    return msgspec.structs.replace(WEB, metadata=msgspec.structs.replace(WEB.metadata, **fields))


def test_a_pod_of_a_workload_has_to_leave() -> None:
    assert has_to_leave(WEB)


@pytest.mark.parametrize(
    "stays",
    [
        pod(owner_references=(Owner("DaemonSet", controller=True),)),
        pod(annotations={MIRROR: "x"}, owner_references=(Owner("Node", controller=True),)),
        msgspec.structs.replace(WEB, status=PodStatus("Succeeded")),
        msgspec.structs.replace(WEB, status=PodStatus("Failed")),
    ],
    ids=["daemon", "mirror", "succeeded", "failed"],
)
def test_what_belongs_to_the_node_or_has_ended_does_not(stays: Pod) -> None:
    assert not has_to_leave(stays)
    assert holdouts([stays], [TIGHT]) == ()


def test_a_pod_without_a_controller_would_be_lost() -> None:
    alone = pod(owner_references=(Owner("ReplicaSet"),))
    assert orphans([WEB, alone]) == (Holdout("default/web-1", "no controller would start it again"),)


def test_a_pod_without_a_controller_that_has_ended_is_no_loss() -> None:
    assert orphans([msgspec.structs.replace(pod(owner_references=()), status=PodStatus("Succeeded"))]) == ()


def test_a_budget_that_allows_nothing_is_named_with_its_figures() -> None:
    assert holdouts([WEB], [TIGHT]) == (Holdout("default/web-1", "held by budget web (2 healthy, 2 required)"),)


def test_every_budget_that_holds_a_pod_is_named() -> None:
    other = msgspec.structs.replace(TIGHT, metadata=Metadata("tier", "default"))
    (found,) = holdouts([WEB], [TIGHT, other])
    assert found.why == "held by budget web (2 healthy, 2 required) and held by budget tier (2 healthy, 2 required)"


@pytest.mark.parametrize(
    "other",
    [
        msgspec.structs.replace(TIGHT, metadata=Metadata("web", "elsewhere")),
        msgspec.structs.replace(TIGHT, status=BudgetStatus(1)),
        msgspec.structs.replace(TIGHT, spec=BudgetSpec(None)),
        msgspec.structs.replace(TIGHT, spec=BudgetSpec(Selector({"app": "db"}))),
    ],
    ids=["of another namespace", "with room", "without a selector", "of other pods"],
)
def test_no_other_budget_is_blamed(other: Budget) -> None:
    assert holdouts([WEB], [other]) == (Holdout("default/web-1", "has not left yet"),)


def test_a_pod_that_is_on_its_way_out_is_held_by_no_budget() -> None:
    (going,) = read_pods(
        json.dumps({"items": [{"metadata": {**META, "deletionTimestamp": "2026-11-24T06:00:00Z"}}]}).encode()
    )
    assert holdouts([going], [TIGHT]) == (Holdout("default/web-1", "is shutting down"),)


@pytest.mark.parametrize(
    ("requirement", "chosen"),
    [
        (Requirement("tier", Operator.IN, ("a", "b")), True),
        (Requirement("tier", Operator.IN, ("b",)), False),
        (Requirement("none", Operator.IN, ("a",)), False),
        (Requirement("tier", Operator.NOT_IN, ("a",)), False),
        (Requirement("none", Operator.NOT_IN, ("a",)), True),
        (Requirement("tier", Operator.EXISTS), True),
        (Requirement("none", Operator.EXISTS), False),
        (Requirement("tier", Operator.DOES_NOT_EXIST), False),
        (Requirement("none", Operator.DOES_NOT_EXIST), True),
    ],
)
def test_selectors_choose_as_kubernetes_does(requirement: Requirement, *, chosen: bool) -> None:
    assert selects(Selector(match_expressions=(requirement,)), LABELS) is chosen
    assert not selects(Selector({"app": "db"}, (requirement,)), LABELS)


def test_an_empty_selector_chooses_everything() -> None:
    assert selects(Selector(), LABELS)


META = {
    "name": "web-1",
    "namespace": "default",
    "labels": LABELS,
    "ownerReferences": [{"kind": "ReplicaSet", "name": "web", "controller": True, "uid": "x"}],
}


def test_pods_and_budgets_are_read_as_the_api_writes_them() -> None:
    pods = json.dumps({"kind": "PodList", "items": [{"metadata": META, "status": {"phase": "Running"}}]})
    expression = {"key": "app", "operator": "In", "values": ["web"]}
    budget = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"minAvailable": 2, "selector": {"matchExpressions": [expression]}},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2, "expectedPods": 2},
    }
    budgets = read_budgets(json.dumps({"items": [budget]}).encode())
    assert read_pods(pods.encode()) == (WEB,)
    assert holdouts([WEB], budgets) == holdouts([WEB], [TIGHT])
