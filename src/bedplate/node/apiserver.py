"""The API server as the node reaches it: with the kubelet's own files, and so with the kubelet's own rights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from bedplate.host.peers import Peers
from bedplate.model.network import Answer, Caller, Reach
from bedplate.wire.kubeconfig import Access, read_access
from bedplate.wire.node import Node, read_node

KUBECONFIGS = ("var/lib/kubelet/kubeconfig", "etc/kubernetes/bootstrap-kubelet.conf")
CERTIFICATE = "var/lib/kubelet/pki/kubelet-client-current.pem"
MERGE = {"Content-Type": "application/merge-patch+json"}
"""The kind of a patch (RFC 7386): fields that it names are set, those that it sets to null are removed."""


def find_access(root: Path) -> tuple[Access | None, str]:
    """How to reach the API server: as the kubelet wrote it after it joined, before that as it was told.

    The second value is why what is there cannot be read.
    """
    problem, found = "", None
    for name in KUBECONFIGS:
        path = root / name
        try:
            access = read_access(path.read_bytes())
            found = found or access
            if access.token:
                return Access(found.server, found.authority, access.token), ""
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as fault:
            problem = f"{path.name}: {one_line(fault)}"
    return found, "" if found else problem


def as_caller(access: Access | None, root: Path, *, certified: bool) -> Caller:
    """Who asks: the kubelet by its certificate, before it has one by its bootstrap token."""
    if access is None:
        return Caller()
    if certified:
        return Caller(access.authority, certificate=str(root / CERTIFICATE))
    return Caller(access.authority, token=access.token)


@dataclass(frozen=True, slots=True)
class OwnNode:
    """The node's own object: `name` is the host name, `root` is where the machine's files begin."""

    name: str
    peers: Peers
    root: Path = Path("/")

    def belongs(self) -> bool:
        """Whether the machine was told of a cluster at all."""
        return any((self.root / name).exists() for name in KUBECONFIGS)

    def ask(self) -> Answer:
        """The object, or what came instead."""
        access, unreadable = find_access(self.root)
        if access is None:
            return Answer(Reach.BROKEN, details=unreadable or "the machine belongs to no cluster")
        return self.peers.get(self._url(access), self._caller(access))

    def read(self) -> Node | None:
        """The object; None when it cannot be had now."""
        return object_in(self.ask())

    def annotate(self, values: dict[str, str]) -> Answer:
        """Set annotations of the object, which the kubelet may do with its own and no other."""
        access, unreadable = find_access(self.root)
        if access is None:
            return Answer(Reach.BROKEN, details=unreadable or "the machine belongs to no cluster")
        body = msgspec.json.encode({"metadata": {"annotations": values}})
        return self.peers.send("PATCH", self._url(access), self._caller(access), body, headers=MERGE)

    def _url(self, access: Access) -> str:
        return f"{access.server}/api/v1/nodes/{self.name}"

    def _caller(self, access: Access) -> Caller:
        return as_caller(access, self.root, certified=(self.root / CERTIFICATE).exists())


def object_in(answer: Answer) -> Node | None:
    """The Node object in an answer, when there is one."""
    try:
        return read_node(answer.body) if answer.status == 200 else None
    except ValueError:
        return None


def one_line(fault: Exception) -> str:
    return " ".join(str(fault).split())
