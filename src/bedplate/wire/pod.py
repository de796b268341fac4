"""Kubernetes' Pod objects (core/v1) and their disruption budgets (policy/v1), as far as we read them."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

import msgspec


class Owner(msgspec.Struct, frozen=True):
    """An owner reference; at most one owner of an object has `controller` set."""

    kind: str
    controller: bool = False


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    namespace: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[Owner, ...] = ()
    deletion_timestamp: datetime | None = None

    @property
    def controller(self) -> str:
        """The kind of the object that makes such pods; empty when nothing does."""
        return next((owner.kind for owner in self.owner_references if owner.controller), "")

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class PodStatus(msgspec.Struct, frozen=True):
    phase: str = ""


class Pod(msgspec.Struct, frozen=True):
    metadata: Metadata
    status: PodStatus = PodStatus()


class Pods(msgspec.Struct, frozen=True):
    """A PodList."""

    items: tuple[Pod, ...]


class Operator(Enum):
    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class Requirement(msgspec.Struct, frozen=True):
    """What a selector demands of one label."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()


class Selector(msgspec.Struct, frozen=True, rename="camel"):
    """A label selector (meta/v1); an empty one selects everything."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[Requirement, ...] = ()


class BudgetSpec(msgspec.Struct, frozen=True):
    """Without a selector a budget holds no pod."""

    selector: Selector | None = None


class BudgetStatus(msgspec.Struct, frozen=True, rename="camel"):
    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0


class Budget(msgspec.Struct, frozen=True):
    """A PodDisruptionBudget."""

    metadata: Metadata
    spec: BudgetSpec = BudgetSpec()
    status: BudgetStatus = BudgetStatus()


class Budgets(msgspec.Struct, frozen=True):
    """A PodDisruptionBudgetList."""

    items: tuple[Budget, ...]


def read_pods(text: bytes) -> tuple[Pod, ...]:
    """The pods of a list. Raises `msgspec.DecodeError` for another form."""
    return msgspec.json.decode(text, type=Pods).items


def read_budgets(text: bytes) -> tuple[Budget, ...]:
    """The budgets of a list. Raises `msgspec.DecodeError` for another form."""
    return msgspec.json.decode(text, type=Budgets).items
