"""What the health of a node is judged from: plain values, gathered by `gather` and judged by `rules`."""

from __future__ import annotations

from dataclasses import dataclass

from bedplate.model.network import Answer
from bedplate.node.units import BadUnit


@dataclass(frozen=True, slots=True)
class Membership:
    """The node in its cluster: what the kubelet's /healthz says, and the node's object as far as it is of this boot.

    `told` is whether the object carries this boot's id; before that, `ready` is of an earlier boot.
    """

    kubelet: Answer
    api: Answer
    told: bool = False
    ready: bool = False
    message: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """What became of a user's probe: `problem` is why it does not hold, empty when it does."""

    name: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything at one instant; sizes are bytes.

    `asked` is whether PID 1 could be asked for its units. `membership` is None on a machine that belongs to no
    cluster. `unsettled` is why the machine's settings cannot be used, empty when they can.
    """

    asked: bool
    units: tuple[BadUnit, ...]
    state_writable: bool
    disk_free: int
    memory_free: int
    containerd_answers: bool
    membership: Membership | None
    probed: tuple[Probed, ...] = ()
    unsettled: str = ""
