"""The kubeconfig files of a local cluster."""

from __future__ import annotations

import msgspec

from bedplate.local.authorities import CLUSTER, Pki
from bedplate.wire.kubeconfig import ClusterEntry, ContextEntry, Kubeconfig, NamedCluster, NamedContext, NamedUser, User


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
