"""How a machine joins: the token it asks with, and the credentials it is started with."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from bedplate.local.addresses import CLUSTER_DNS, GATEWAY, REGISTRY_PORT

ALPHABET = string.ascii_lowercase + string.digits
ID_LENGTH, SECRET_LENGTH = 6, 16
JOINERS = "system:bootstrappers:bedplate:machines"
KUBEADM_JOINERS = "system:bootstrappers:kubeadm:default-node-token"
"""Whom clusters made by kubeadm let join; others name all of `system:bootstrappers`."""


@dataclass(frozen=True, slots=True)
class BootstrapToken:
    """What a machine shows at its first request to the API server; the secret does not show when printed."""

    id: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """As a client sends it."""
        return f"{self.id}.{self.secret}"


@dataclass(frozen=True, slots=True)
class MachineIdentity:
    """What makes one machine different from another of its image.

    `pod_cidr` is the network of its pods; `labels` and `taints` (`key=value:Effect`) are its node's. With
    `writable_cni_bin`, pods may bring it programs for their network.
    """

    name: str
    address: str
    pod_cidr: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[str] = ()
    writable_cni_bin: bool = False


@dataclass(frozen=True, slots=True)
class JoinTarget:
    """The cluster to join: bootstrap kubeconfig, its CA in PEM, its DNS, and the registry that serves every image.

    `cluster_dns` is empty where the cluster has none. `agent` are the settings of the agent on each machine (TOML),
    `release_root` is the root metadata of the releases that it trusts; both are empty for what the image has.
    """

    bootstrap: bytes = field(repr=False)
    authority: bytes
    cluster_dns: str = CLUSTER_DNS
    cluster_domain: str = "cluster.local"
    registry: str = f"http://{GATEWAY}:{REGISTRY_PORT}"
    agent: bytes = b""
    release_root: bytes = b""


def new_token(choose: Callable[[str], str] = secrets.choice) -> BootstrapToken:
    """A new token, `choose` picking each character."""
    characters = [choose(ALPHABET) for _ in range(ID_LENGTH + SECRET_LENGTH)]
    return BootstrapToken("".join(characters[:ID_LENGTH]), "".join(characters[ID_LENGTH:]))


def token_manifest(token: BootstrapToken, *, expires: datetime, groups: Sequence[str] = (JOINERS,)) -> bytes:
    """The Secret that makes `token` good until `expires`; the controller manager clears it away afterwards.

    Whoever shows it belongs to `groups`.
    """
    return _yaml(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "bootstrap.kubernetes.io/token",
            "metadata": {"name": f"bootstrap-token-{token.id}", "namespace": "kube-system"},
            "stringData": {
                "token-id": token.id,
                "token-secret": token.secret,
                "expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "usage-bootstrap-authentication": "true",
                "auth-extra-groups": ",".join(groups),
            },
        }
    )


def machine_credentials(machine: MachineIdentity, target: JoinTarget) -> dict[str, bytes]:
    """The systemd credentials that give a machine its identity, by their names."""
    of_updates = {"bedplate.agent": target.agent, "bedplate.release-root": target.release_root}
    return {
        **{name: content for name, content in of_updates.items() if content},
        "system.hostname": machine.name.encode(),
        **bootstrap_credential(target),
        "bedplate.cluster-ca": target.authority,
        "bedplate.kubelet-config": kubelet_drop_in(target),
        "bedplate.kubelet-env": kubelet_environment(machine),
        "bedplate.cni-conflist": pod_network(machine.pod_cidr),
        "bedplate.registry-hosts": registry_hosts(target.registry),
        **({"bedplate.writable-cni-bin": b"yes"} if machine.writable_cni_bin else {}),
    }


def bootstrap_credential(target: JoinTarget) -> dict[str, bytes]:
    """The one credential that ends: the token in it is good for a day, and of no use to a machine that has joined."""
    return {"bedplate.kubelet-bootstrap": target.bootstrap}


def kubelet_drop_in(target: JoinTarget) -> bytes:
    """What the kubelet's configuration takes from the cluster (KubeletConfiguration v1beta1)."""
    return _yaml(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "clusterDNS": [target.cluster_dns] if target.cluster_dns else [],
            "clusterDomain": target.cluster_domain,
        }
    )


def kubelet_environment(machine: MachineIdentity) -> bytes:
    """What the kubelet's command line takes from the machine."""
    labels = ",".join(f"{key}={value}" for key, value in sorted(machine.labels.items()))
    taints = ",".join(machine.taints)
    return f"NODE_LABELS={labels}\nNODE_TAINTS={taints}\nNODE_IP={machine.address}\n".encode()


def pod_network(pod_cidr: str) -> bytes:
    """A bridge per machine; between machines the pod networks are routed, so nothing is rewritten."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": pod_cidr}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        # A pod may be the one that answers its own request to a Service.
        "hairpinMode": True,
        "ipam": addresses,
    }
    network = {"cniVersion": "1.0.0", "name": "bedplate", "plugins": [bridge]}
    return msgspec.json.format(msgspec.json.encode(network), indent=2) + b"\n"


def registry_hosts(registry: str) -> bytes:
    """The hosts.toml of containerd for `_default`: every image comes from `registry`, whatever its name says."""
    return f'server = "{registry}"\ncapabilities = ["pull", "resolve"]\n'.encode()


def _yaml(document: object) -> bytes:
    return msgspec.yaml.encode(document)
