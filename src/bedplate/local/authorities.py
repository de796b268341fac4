"""Whom the certificates of a local cluster name, who signs them, and where they lie. Values only.

Who may do what follows from the names below: `system:` names are bound to roles by the API server
itself, `bedplate:` names and the administrators' group by `deploy/local/access.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bedplate.local.addresses import FIRST_SERVICE, GATEWAY
from bedplate.local.certificates import Subject
from bedplate.model.plans import Action

CLUSTER, FRONT_PROXY, ETCD = "ca", "front-proxy-ca", "etcd-ca"
SERVICE_ACCOUNTS = "sa"
ADMINISTRATORS = "kubeadm:cluster-admins"
APPROVER = "bedplate:serving-approver"
KUBELET_CLIENT = "bedplate:kubelet-client"
API_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
)
API_ADDRESSES = (FIRST_SERVICE, GATEWAY, "127.0.0.1")

CLIENT, SERVER, BOTH = frozenset({"client"}), frozenset({"server"}), frozenset({"client", "server"})

AUTHORITIES: Mapping[str, Subject] = {
    CLUSTER: Subject("bedplate-cluster"),
    FRONT_PROXY: Subject("bedplate-front-proxy"),
    ETCD: Subject("bedplate-etcd"),
}
LEAVES: Mapping[str, tuple[str, Subject]] = {
    "apiserver": (CLUSTER, Subject("kube-apiserver", (), SERVER, API_NAMES, API_ADDRESSES)),
    "apiserver-kubelet-client": (CLUSTER, Subject(KUBELET_CLIENT, (), CLIENT)),
    "apiserver-etcd-client": (ETCD, Subject("kube-apiserver-etcd-client", (), CLIENT)),
    # etcd's own gateway is a client of etcd and shows the serving certificate.
    "etcd-server": (ETCD, Subject("etcd", (), BOTH, ("localhost",), ("127.0.0.1",))),
    "front-proxy-client": (FRONT_PROXY, Subject("front-proxy-client", (), CLIENT)),
    # Only `first-admin` is above RBAC: it brings in the roles that make `admin` an administrator.
    "first-admin": (CLUSTER, Subject("bedplate-first-admin", ("system:masters",), CLIENT)),
    "admin": (CLUSTER, Subject("bedplate-admin", (ADMINISTRATORS,), CLIENT)),
    "controller-manager": (CLUSTER, Subject("system:kube-controller-manager", (), CLIENT)),
    "scheduler": (CLUSTER, Subject("system:kube-scheduler", (), CLIENT)),
    "approver": (CLUSTER, Subject(APPROVER, (), CLIENT)),
}
"""File name -> the authority that signs it, and whom it names."""


@dataclass(frozen=True, slots=True)
class Pki:
    """Where the certificates are; `actions` tells which were made just now, and why."""

    folder: Path
    actions: tuple[Action, ...] = ()

    def certificate(self, name: str) -> Path:
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    @property
    def service_account_public(self) -> Path:
        return self.folder / f"{SERVICE_ACCOUNTS}.pub"
