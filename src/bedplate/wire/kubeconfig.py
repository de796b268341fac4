"""Kubeconfig files: how a client reaches the API server and who it says it is (kind Config of API v1)."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from bedplate.wire.certificate import BEGIN


class _Kebab(msgspec.Struct, frozen=True, rename="kebab", omit_defaults=True, kw_only=True):
    """Kubeconfig names its fields with hyphens."""


class ClusterEntry(_Kebab, frozen=True):
    """The authority is that of the server's certificate, in PEM.

    `tls_server_name` is whom the certificate must name, where that is not the server's URL.
    """

    server: str
    certificate_authority_data: bytes = b""
    tls_server_name: str = ""
    insecure_skip_tls_verify: bool = False
    proxy_url: str = ""


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
    """The file as `kubectl` and the kubelet read it."""

    api_version: str = "v1"
    kind: str = "Config"
    clusters: tuple[NamedCluster, ...]
    users: tuple[NamedUser, ...]
    contexts: tuple[NamedContext, ...]
    current_context: str = msgspec.field(name="current-context")


@dataclass(frozen=True, slots=True)
class Access:
    """What the current context comes to: the server's address, its CA in PEM, and a bearer token or none."""

    server: str
    authority: bytes
    token: str = field(default="", repr=False)


def read_access(text: bytes) -> Access:
    """The access that a kubeconfig gives. ValueError (`msgspec.DecodeError` among them) when it is not sound."""
    config = msgspec.yaml.decode(text, type=Kubeconfig)
    context = next((each.context for each in config.contexts if each.name == config.current_context), None)
    if context is None:
        raise ValueError(f"there is no context {config.current_context}")
    cluster = next((each.cluster for each in config.clusters if each.name == context.cluster), None)
    user = next((each.user for each in config.users if each.name == context.user), User())
    if cluster is None:
        raise ValueError(f"there is no cluster {context.cluster}")
    authority = cluster.certificate_authority_data
    if authority and not (authority.isascii() and BEGIN in authority):
        raise ValueError("the cluster's CA is not in PEM")
    return Access(cluster.server, authority, user.token)
