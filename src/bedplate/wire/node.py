"""Kubernetes' Node objects (core/v1), as far as a node reads its own."""

from __future__ import annotations

import msgspec


class Condition(msgspec.Struct, frozen=True):
    """`status` is `True`, `False` or `Unknown`; `message` is for people."""

    type: str
    status: str
    message: str = ""


class Status(msgspec.Struct, frozen=True):
    conditions: tuple[Condition, ...] = ()


class Node(msgspec.Struct, frozen=True):
    status: Status = Status()

    def condition(self, kind: str) -> Condition | None:
        return next((each for each in self.status.conditions if each.type == kind), None)


def read_node(text: bytes) -> Node:
    """The node in a JSON document. Raises `msgspec.DecodeError` for another form."""
    return msgspec.json.decode(text, type=Node)
