"""Gathers the facts of a report: a few files, short questions to servers, and PID 1 by systemctl."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from bedplate.host.clock import Clock
from bedplate.host.links import Links
from bedplate.host.peers import Peers
from bedplate.host.run import Runner
from bedplate.model.network import Answer, Caller, Reach, address_of
from bedplate.node.apiserver import CERTIFICATE, as_caller, find_access
from bedplate.node.report.facts import Facts, Network, NodeState, NoState, Request, Server, Time
from bedplate.node.units import bad_units
from bedplate.wire.certificate import read_validity
from bedplate.wire.csr import is_from_node, read_requests
from bedplate.wire.kubeconfig import Access
from bedplate.wire.node import read_node

SYNCHRONISED = "run/systemd/timesync/synchronized"
NAME_SERVERS = "run/systemd/resolve/resolv.conf"
HEALTH = "http://127.0.0.1:10248/healthz"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Node:
    """The doors to one node: `root` is where its files begin, `name` its host name."""

    name: str
    links: Links
    peers: Peers
    runner: Runner
    clock: Clock
    root: Path = Path("/")

    def gather(self) -> Facts:
        """Everything as it is now; takes some seconds where servers are silent. Raises nothing foreseen."""
        certificate = self._read(CERTIFICATE, read_validity)
        access, unreadable = find_access(self.root)
        server = named_server(access) if access else None
        caller = as_caller(access, self.root, certified=certificate is not None)
        api = self.peers.get(f"{access.server}/readyz", caller) if access and server else None
        return Facts(
            name=self.name,
            network=self._network(server),
            time=self._time(access),
            server=server,
            unreadable=unreadable,
            api=api,
            certificate=certificate,
            request=Request.UNKNOWN if certificate else self._request(access, caller, api),
            units=bad_units(self.runner),
            kubelet_answers=self.peers.get(HEALTH, Caller()).status == 200,
            state=self._state(access, caller) if certificate else NoState.UNKNOWN,
        )

    def _network(self, server: Server | None) -> Network:
        lines = self._read(NAME_SERVERS, bytes.decode) or ""
        servers = tuple(line.split()[1] for line in lines.splitlines() if line.startswith("nameserver "))
        return Network(
            links=self.links.links(),
            gateway=self.links.gateway(),
            name_servers=servers,
            silent=tuple(each for each in servers if not self.peers.answers_names(each.partition("%")[0])),
            resolves=server is None or self.peers.resolves(server.host),
        )

    def _time(self, access: Access | None) -> Time:
        authority = _try(read_validity, access.authority) if access else None
        return Time(self.clock.now(), (self.root / SYNCHRONISED).exists(), authority.start if authority else None)

    def _request(self, access: Access | None, caller: Caller, api: Answer | None) -> Request:
        if access is None or api is None or api.reach is not Reach.ANSWERED or api.status == 401:
            return Request.UNKNOWN
        answer = self.peers.get(f"{access.server}{REQUESTS}?fieldSelector={quote('spec.signerName=' + SIGNER)}", caller)
        requests = _try(read_requests, answer.body) if answer.status == 200 else None
        if requests is None:
            return Request.UNKNOWN
        ours = [each for each in requests if is_from_node(each, self.name)]
        if not ours:
            return Request.NONE
        newest = max(ours, key=lambda each: each.metadata.creation_timestamp)
        kinds = {each.type for each in newest.status.conditions}
        denied = kinds & {"Denied", "Failed"}
        return Request.DENIED if denied else Request.APPROVED if "Approved" in kinds else Request.PENDING

    def _state(self, access: Access | None, caller: Caller) -> NodeState | NoState:
        if access is None:
            return NoState.UNKNOWN
        answer = self.peers.get(f"{access.server}/api/v1/nodes/{self.name}", caller)
        if answer.status == 404:
            return NoState.UNREGISTERED
        node = _try(read_node, answer.body) if answer.status == 200 else None
        if node is None:
            return NoState.UNKNOWN
        condition = node.condition("Ready")
        return NodeState(condition.status == "True", condition.message) if condition else NodeState(ready=False)

    def _read(self, name: str, decode: Callable[[bytes], T]) -> T | None:
        """What a file says; None when it is not there, or half-written."""
        try:
            return decode((self.root / name).read_bytes())
        except (OSError, ValueError):
            return None


def named_server(access: Access) -> Server | None:
    """The server that a kubeconfig names; None when its address is none."""
    try:
        address = address_of(access.server)
    except ValueError:
        return None
    return Server(address.host, address.port, bool(access.token))


def _try(decode: Callable[[bytes], T], text: bytes) -> T | None:
    try:
        return decode(text)
    except ValueError:
        return None
