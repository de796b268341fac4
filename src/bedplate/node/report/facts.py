"""What the report is made from: plain values, gathered by `gather` and judged by `rules`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from bedplate.model.network import Answer, Gateway, Link
from bedplate.node.units import BadUnit
from bedplate.wire.certificate import Validity


class Request(Enum):
    """What became of the node's request for a client certificate, as far as the API server tells."""

    UNKNOWN = "the API server does not tell"
    NONE = "not sent"
    PENDING = "not approved yet"
    APPROVED = "approved, not signed yet"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Server:
    """The API server as the node's configuration names it; `token` says whether a bootstrap token is there."""

    host: str
    port: int
    token: bool

    @property
    def place(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Network:
    """`name_servers` are addresses, `silent` those of them that do not answer."""

    links: tuple[Link, ...]
    gateway: Gateway | None
    name_servers: tuple[str, ...]
    silent: tuple[str, ...] = ()
    resolves: bool = True
    """Whether the API server's name does."""


@dataclass(frozen=True, slots=True)
class Time:
    """`trusted_from` is when the cluster's CA begins to be valid: no clock of its nodes can be before that."""

    now: datetime
    synchronised: bool
    trusted_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class NodeState:
    """The Ready condition of the node's object; `message` says why where it does not hold."""

    ready: bool
    message: str = ""


class NoState(Enum):
    """Why there is no NodeState."""

    UNKNOWN = "the API server does not tell"
    UNREGISTERED = "the API server has no such node"


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything at one instant. What is not there is None: no server, no certificate.

    `unreadable` is why the file that names the API server cannot be read, empty when it can or is not there.
    `units` are those in trouble; None when PID 1 does not tell.
    """

    name: str
    network: Network
    time: Time
    server: Server | None = None
    unreadable: str = ""
    api: Answer | None = None
    certificate: Validity | None = None
    request: Request = Request.UNKNOWN
    units: tuple[BadUnit, ...] | None = ()
    kubelet_answers: bool = False
    state: NodeState | NoState = NoState.UNKNOWN
