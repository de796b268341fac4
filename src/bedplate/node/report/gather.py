"""Gathers the facts of a report: a few files, short questions to servers, and PID 1 by systemctl."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from bedplate.host.clock import Clock
from bedplate.host.links import Links
from bedplate.host.peers import PORTS, Peers
from bedplate.host.run import Runner
from bedplate.model.errors import BedplateError
from bedplate.model.network import Answer, Caller, Reach
from bedplate.node.report.facts import BadUnit, Facts, Network, NodeState, NoState, Request, Server, Time
from bedplate.wire.certificate import read_validity
from bedplate.wire.csr import is_from_node, read_requests
from bedplate.wire.kubeconfig import Access, read_access
from bedplate.wire.node import read_node

KUBECONFIGS = ("var/lib/kubelet/kubeconfig", "etc/kubernetes/bootstrap-kubelet.conf")
CERTIFICATE = "var/lib/kubelet/pki/kubelet-client-current.pem"
SYNCHRONISED = "run/systemd/timesync/synchronized"
NAME_SERVERS = "run/systemd/resolve/resolv.conf"
HEALTH = "http://127.0.0.1:10248/healthz"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
RESTARTING = "auto-restart"
LIMIT_SECONDS = 10.0
T = TypeVar("T")


class Unit(msgspec.Struct, frozen=True):
    """One row of `systemctl list-units --output=json`."""

    unit: str
    active: str
    sub: str


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
        access, unreadable = self._access()
        server = named_server(access) if access else None
        caller = self._caller(access, certified=certificate is not None)
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
            units=self._units(),
            kubelet_answers=self.peers.get(HEALTH, Caller()).status == 200,
            state=self._state(access, caller) if certificate else NoState.UNKNOWN,
        )

    def _access(self) -> tuple[Access | None, str]:
        """How to reach the API server: as the kubelet wrote it after it joined, before that as it was told.

        The second value is why what is there cannot be read.
        """
        problem, found = "", None
        for name in KUBECONFIGS:
            path = self.root / name
            try:
                access = read_access(path.read_bytes())
                found = found or access
                if access.token:
                    return Access(found.server, found.authority, access.token), ""
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as fault:
                problem = f"{path.name}: {_one_line(fault)}"
        return found, "" if found else problem

    def _caller(self, access: Access | None, *, certified: bool) -> Caller:
        if access is None:
            return Caller()
        if certified:
            return Caller(access.authority, certificate=str(self.root / CERTIFICATE))
        return Caller(access.authority, token=access.token)

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

    def _units(self) -> tuple[BadUnit, ...] | None:
        argv = ["systemctl", "list-units", "--all", f"--state=failed,{RESTARTING}", "--output=json"]
        try:
            rows = msgspec.json.decode(self.runner.run(argv, seconds=LIMIT_SECONDS).stdout, type=tuple[Unit, ...])
        except (BedplateError, msgspec.MsgspecError):  # a busy machine, or one on its way down; the next round asks
            return None
        return tuple(BadUnit(row.unit, row.sub == RESTARTING, self._last_words(row.unit)) for row in rows)

    def _last_words(self, unit: str) -> str:
        """The last line that the unit's own process wrote: PID 1's remarks on its end say less."""
        argv = ["journalctl", f"_SYSTEMD_UNIT={unit}", "--boot", "--lines=1", "--output=cat", "--quiet"]
        try:
            lines = self.runner.run(argv, seconds=LIMIT_SECONDS).text.splitlines()
        except BedplateError:
            return ""
        return lines[-1].strip() if lines else ""

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
        parts = urlsplit(access.server)
        port = parts.port or PORTS[parts.scheme]
    except (KeyError, ValueError):
        return None
    return Server(parts.hostname, port, bool(access.token)) if parts.hostname else None


def _try(decode: Callable[[bytes], T], text: bytes) -> T | None:
    try:
        return decode(text)
    except ValueError:
        return None


def _one_line(fault: Exception) -> str:
    return " ".join(str(fault).split())
