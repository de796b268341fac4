"""Which pods of a node have to leave before it goes, and what holds each of them. Pure.

The choice is that of `kubectl drain --ignore-daemonsets --delete-emptydir-data`; what holds a pod follows the
Eviction API: https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bedplate.wire.pod import Budget, Operator, Pod, Requirement, Selector

MIRROR = "kubernetes.io/config.mirror"
"""The annotation of a pod that the kubelet runs from a file; the API server cannot end it."""
FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Holdout:
    """A pod (`namespace/name`) that is still on a node, and why."""

    pod: str
    why: str

    def __str__(self) -> str:
        return f"{self.pod}: {self.why}"


def has_to_leave(pod: Pod) -> bool:
    """Not what belongs to the node, and not what has ended."""
    meta = pod.metadata
    return MIRROR not in meta.annotations and meta.controller != "DaemonSet" and pod.status.phase not in FINISHED


def orphans(pods: Iterable[Pod]) -> tuple[Holdout, ...]:
    """The pods that nothing would make again elsewhere; to evict one is to lose it."""
    alone = (pod for pod in pods if has_to_leave(pod) and not pod.metadata.controller)
    return tuple(Holdout(str(pod.metadata), "no controller would start it again") for pod in alone)


def holdouts(pods: Iterable[Pod], budgets: Iterable[Budget]) -> tuple[Holdout, ...]:
    """The pods that still have to leave, each with the budgets that hold it, if any do."""
    budgets = tuple(budgets)
    return tuple(Holdout(str(pod.metadata), _why(pod, budgets)) for pod in pods if has_to_leave(pod))


def _why(pod: Pod, budgets: tuple[Budget, ...]) -> str:
    if pod.metadata.deletion_timestamp is not None:
        return "is shutting down"
    held = [_told(budget) for budget in budgets if _holds(budget, pod)]
    return " and ".join(held) or "has not left yet"


def _holds(budget: Budget, pod: Pod) -> bool:
    selector = budget.spec.selector
    return (
        budget.metadata.namespace == pod.metadata.namespace
        and budget.status.disruptions_allowed < 1
        and selector is not None
        and selects(selector, pod.metadata.labels)
    )


def _told(budget: Budget) -> str:
    status = budget.status
    return (
        f"held by budget {budget.metadata.name} ({status.current_healthy} healthy, {status.desired_healthy} required)"
    )


def selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Whether the selector chooses what has these labels."""
    return selector.match_labels.items() <= labels.items() and all(
        _meets(requirement, labels) for requirement in selector.match_expressions
    )


def _meets(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case Operator.IN:
            return value in requirement.values
        case Operator.NOT_IN:
            return value not in requirement.values
        case Operator.EXISTS:
            return value is not None
        case Operator.DOES_NOT_EXIST:
            return value is None
