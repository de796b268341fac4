"""Kubernetes' Node objects (core/v1), as far as we read them."""

from __future__ import annotations

import msgspec


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    """`status` is `True`, `False` or `Unknown`; `message` is for people."""

    type: str
    status: str
    message: str = ""


class NodeInfo(msgspec.Struct, frozen=True, rename={"boot_id": "bootID"}):
    """`boot_id` is the kernel's, which changes at every boot."""

    boot_id: str = ""


class Status(msgspec.Struct, frozen=True, rename="camel"):
    conditions: tuple[Condition, ...] = ()
    node_info: NodeInfo = NodeInfo()


class Metadata(msgspec.Struct, frozen=True):
    name: str = ""
    annotations: dict[str, str] = {}


class Spec(msgspec.Struct, frozen=True):
    """`unschedulable` is what `kubectl cordon` sets."""

    unschedulable: bool = False


class Node(msgspec.Struct, frozen=True):
    metadata: Metadata = Metadata()
    spec: Spec = Spec()
    status: Status = Status()

    def condition(self, kind: str) -> Condition | None:
        return next((each for each in self.status.conditions if each.type == kind), None)


class Nodes(msgspec.Struct, frozen=True):
    """A NodeList."""

    items: tuple[Node, ...]


def read_node(text: bytes) -> Node:
    """The node in a JSON document. Raises `msgspec.DecodeError` for another form."""
    return msgspec.json.decode(text, type=Node)


def read_nodes(text: bytes) -> tuple[Node, ...]:
    """The nodes of a list. Raises `msgspec.DecodeError` for another form."""
    return msgspec.json.decode(text, type=Nodes).items
