"""Kubeconfig files: how a client reaches the API server and who it says it is."""

from __future__ import annotations

import msgspec

from bedplate.local.pki import CLUSTER, Pki


class _Kebab(msgspec.Struct, frozen=True, rename="kebab", omit_defaults=True, kw_only=True):
    """Kubeconfig names its fields with hyphens."""


class ClusterEntry(_Kebab, frozen=True):
    server: str
    certificate_authority_data: bytes


class User(_Kebab, frozen=True):
    """Either a client certificate with its key, or a bearer token."""

    client_certificate_data: bytes = b""
    client_key_data: bytes = b""
    token: str = ""


class ContextEntry(_Kebab, frozen=True):
    cluster: str
    user: str


class NamedCluster(_Kebab, frozen=True):
    name: str
    cluster: ClusterEntry


class NamedUser(_Kebab, frozen=True):
    name: str
    user: User


class NamedContext(_Kebab, frozen=True):
    name: str
    context: ContextEntry


class Kubeconfig(msgspec.Struct, frozen=True, kw_only=True, rename={"api_version": "apiVersion"}):
    """The file as `kubectl` reads it (kind Config of API v1)."""

    api_version: str = "v1"
    kind: str = "Config"
    clusters: tuple[NamedCluster, ...]
    users: tuple[NamedUser, ...]
    contexts: tuple[NamedContext, ...]
    current_context: str = msgspec.field(name="current-context")


def kubeconfig(*, cluster: str, server: str, authority: bytes, name: str, user: User) -> bytes:
    """YAML with one cluster, one user and one context named `cluster`; `authority` is the CA in PEM."""
    content = Kubeconfig(
        clusters=(
            NamedCluster(name=cluster, cluster=ClusterEntry(server=server, certificate_authority_data=authority)),
        ),
        users=(NamedUser(name=name, user=user),),
        contexts=(NamedContext(name=cluster, context=ContextEntry(cluster=cluster, user=name)),),
        current_context=cluster,
    )
    return msgspec.yaml.encode(content)


def certificate_kubeconfig(pki: Pki, holder: str, *, cluster: str, server: str) -> bytes:
    """For the holder of the client certificate of that name in `pki` (`admin`, `scheduler`, …); holds its key."""
    user = User(
        client_certificate_data=pki.certificate(holder).read_bytes(),
        client_key_data=pki.key(holder).read_bytes(),
    )
    authority = pki.certificate(CLUSTER).read_bytes()
    return kubeconfig(cluster=cluster, server=server, authority=authority, name=holder, user=user)


def bootstrap_kubeconfig(*, cluster: str, server: str, authority: bytes, token: str) -> bytes:
    """For a machine that is to join: good for asking for a certificate, and for nothing else."""
    user = User(token=token)
    return kubeconfig(cluster=cluster, server=server, authority=authority, name="kubelet-bootstrap", user=user)
