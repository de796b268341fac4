"""Looks at a control plane that a kubeconfig names: whether machines of ours can join it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httpx
import msgspec

from bedplate.local.foreign.certificate import certified_names
from bedplate.local.foreign.kubectl import ForeignKubectl
from bedplate.local.foreign.record import HTTPS_PORT, Foreign, callable_from_cell, choose_name
from bedplate.local.join import JOINERS, KUBEADM_JOINERS
from bedplate.model.errors import UserError
from bedplate.model.versions import ImageVersion, KubernetesMinor
from bedplate.wire.kubeconfig import ClusterEntry, NamedCluster

GROUPS = (JOINERS, KUBEADM_JOINERS)
"""What the token of a machine makes it a member of, besides `system:bootstrappers`."""
REQUESTS = "certificatesigningrequests"


class _View(msgspec.Struct, frozen=True):
    """The part of `kubectl config view` that is not about users."""

    clusters: tuple[NamedCluster, ...]
    current_context: str = msgspec.field(name="current-context")


class _Version(msgspec.Struct, frozen=True, rename="camel"):
    major: str
    minor: str
    git_version: str


@dataclass(frozen=True, slots=True)
class Right:
    """Something that a joining machine must be allowed, and the role that clusters usually give for it."""

    subresource: str
    groups: tuple[str, ...]
    role: str
    meaning: str


JOINING = ("system:bootstrappers", *GROUPS)
NODES = ("system:nodes",)
APPROVED = f"system:certificates.k8s.io:{REQUESTS}"
RIGHTS = (
    Right("", JOINING, "system:node-bootstrapper", "Machines with a bootstrap token may not ask for a certificate"),
    Right("nodeclient", JOINING, f"{APPROVED}:nodeclient", "Their requests are not approved by the cluster"),
    Right("selfnodeclient", NODES, f"{APPROVED}:selfnodeclient", "Nodes cannot renew their certificates"),
)


def look(
    kubectl: ForeignKubectl, image_version: str, *, names: Callable[..., tuple[str, ...]] = certified_names
) -> Foreign:
    """What is to be kept of the control plane, when machines with this image can join it; `UserError` when not."""
    view = msgspec.json.decode(kubectl.run("config", "view", "--raw", "--minify", "--flatten", "-o=json"), type=_View)
    entry = _usable(view.clusters[0].cluster)
    _require_minor(msgspec.json.decode(kubectl.run("get", "--raw", "/version"), type=_Version), image_version)
    require_rights(kubectl)
    return Foreign(
        kubeconfig=kubectl.kubeconfig,
        context=view.current_context,
        server=entry.server,
        authority=entry.certificate_authority_data,
        name=_name(entry, names),
        cluster_dns=kubectl.run(
            *("--namespace=kube-system", "get", "service", "kube-dns", "--ignore-not-found"),
            "-o=jsonpath={.spec.clusterIP}",
        ),
    )


def _usable(entry: ClusterEntry) -> ClusterEntry:
    what = ""
    if httpx.URL(entry.server).scheme != "https":
        what = f"its server {entry.server} is not reached by https"
    elif entry.proxy_url:
        what = f"its server is reached through the proxy {entry.proxy_url}"
    elif entry.insecure_skip_tls_verify:
        what = "it does not verify the server's certificate"
    elif not entry.certificate_authority_data:
        what = "it names no certificate authority"
    if what:
        raise UserError(
            f"Machines cannot join by this kubeconfig: {what}.",
            resolution="Take one that reaches the API server directly and names its certificate authority.",
        )
    return entry


def _require_minor(version: _Version, image: str) -> None:
    # Some distributions write a plus behind the minor.
    theirs = KubernetesMinor.parse(f"{version.major}.{version.minor.rstrip('+')}")
    ours = ImageVersion.parse(image).kubernetes
    if theirs != ours:
        raise UserError(
            f"The API server has Kubernetes {theirs}, but the node image {ours}.",
            details=f"The API server says {version.git_version}; the image is {image}.",
            resolution=f"Join a cluster of Kubernetes {ours}: one image serves exactly one minor.",
        )


def _name(entry: ClusterEntry, names: Callable[..., tuple[str, ...]]) -> str:
    """What FILE calls the server, where machines can do so too; else a name that its certificate has."""
    url = httpx.URL(entry.server)
    called = entry.tls_server_name or url.host
    if callable_from_cell(called):
        return called
    port = url.port or HTTPS_PORT
    return choose_name(names(url.host, port, authority=entry.certificate_authority_data, server_name=called))


def require_rights(kubectl: ForeignKubectl) -> None:
    """A `UserError` with all that machines may not do, and the commands that would let them."""
    missing = [right for right in RIGHTS if not _allowed(kubectl, right)]
    if missing:
        grants = [
            f"kubectl create clusterrolebinding bedplate-{right.subresource or 'bootstrap'} "
            f"--clusterrole={right.role} --group={JOINERS if right.groups is JOINING else NODES[0]}"
            for right in missing
        ]
        raise UserError(
            "The cluster does not let machines join by bootstrap token.",
            details="\n".join(f"{right.meaning} (role {right.role})." for right in missing),
            resolution="\n".join(["If that is what you want, let them:", *grants]),
        )


def _allowed(kubectl: ForeignKubectl, right: Right) -> bool:
    resource = {"group": "certificates.k8s.io", "resource": REQUESTS, "subresource": right.subresource}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": "system:node:bedplate" if right.groups is NODES else "system:bootstrap:bedplate",
            "groups": right.groups,
            "resourceAttributes": {**resource, "verb": "create"},
        },
    }
    answer = kubectl.run("create", "-f", "-", "-o=jsonpath={.status.allowed}", stdin=msgspec.json.encode(review))
    return answer == "true"
