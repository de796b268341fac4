"""The control plane of a local cluster as plain processes: which ones, with which flags. Values only.

Written for Kubernetes 1.37. Everything listens inside the cell and ends with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bedplate.local.addresses import CLUSTER_DNS, GATEWAY, POD_CIDR, SERVICE_CIDR
from bedplate.local.authorities import CLUSTER, ETCD, FRONT_PROXY, Pki
from bedplate.wire.cell import ProcessSpec

COMPONENT_KUBECONFIGS = ("controller-manager", "scheduler", "approver")
"""Holders of client certificates whose kubeconfig lies in `ControlPlane.kubeconfigs`."""

# Go gives memory back earlier for a little more work: a cluster at rest has time, the computer has machines to hold.
MEMORY = {"GOGC": "50"}


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the control plane's programs are."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the control plane is reached. `api` is where machines and pods find the API server.

    `service_cidr` and `pod_cidr` are the cluster's own networks; `etcd_port` and the one after it are
    used on 127.0.0.1.
    """

    api: str = GATEWAY
    api_port: int = 6443
    etcd_port: int = 2379
    service_cidr: str = SERVICE_CIDR
    pod_cidr: str = POD_CIDR
    cluster_dns: str = CLUSTER_DNS
    cluster_domain: str = "cluster.local"

    @property
    def server(self) -> str:
        """The API server's URL as machines and the control plane itself use it."""
        return f"https://{self.api}:{self.api_port}"


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Everything that the processes are made of; `folder` is the cluster's folder under the state folder."""

    folder: Path
    programs: Programs
    pki: Pki
    addresses: Addresses = Addresses()

    @property
    def kubeconfigs(self) -> Path:
        return self.folder / "kubeconfig"

    def kubeconfig(self, holder: str) -> Path:
        return self.kubeconfigs / f"{holder}.yaml"

    def log(self, name: str) -> str:
        return str(self.folder / "log" / f"{name}.log")


def control_plane_processes(plane: ControlPlane) -> tuple[ProcessSpec, ...]:
    """etcd, API server, controller manager and scheduler, in the order to start them."""
    return (
        _process(plane, "etcd", plane.programs.etcd, _etcd(plane)),
        _process(plane, "kube-apiserver", plane.programs.kube_apiserver, _apiserver(plane)),
        _process(plane, "kube-controller-manager", plane.programs.kube_controller_manager, _controller_manager(plane)),
        _process(plane, "kube-scheduler", plane.programs.kube_scheduler, _scheduler(plane)),
    )


def _process(plane: ControlPlane, name: str, program: Path, flags: Mapping[str, object]) -> ProcessSpec:
    argv = (str(program), *(f"--{flag}={value}" for flag, value in flags.items()))
    return ProcessSpec(name=name, argv=argv, log=plane.log(name), env=MEMORY, restart=True)


def _etcd(plane: ControlPlane) -> Mapping[str, object]:
    pki, port = plane.pki, plane.addresses.etcd_port
    client, peer = f"https://127.0.0.1:{port}", f"https://127.0.0.1:{port + 1}"
    serving = {
        "cert-file": pki.certificate("etcd-server"),
        "key-file": pki.key("etcd-server"),
        "trusted-ca-file": pki.certificate(ETCD),
        "client-cert-auth": "true",
    }
    return {
        "name": "bedplate",
        "data-dir": plane.folder / "etcd",
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"bedplate={peer}",
        **serving,
        **{f"peer-{name}": value for name, value in serving.items()},
        # A power cut may lose this cluster, which is made again in seconds; waiting for the disk costs at each write.
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }


def _apiserver(plane: ControlPlane) -> Mapping[str, object]:
    pki, addresses = plane.pki, plane.addresses
    issuer = f"https://kubernetes.default.svc.{addresses.cluster_domain}"
    return {
        "advertise-address": addresses.api,
        "bind-address": addresses.api,
        "secure-port": addresses.api_port,
        "service-cluster-ip-range": addresses.service_cidr,
        "tls-cert-file": pki.certificate("apiserver"),
        "tls-private-key-file": pki.key("apiserver"),
        "client-ca-file": pki.certificate(CLUSTER),
        "anonymous-auth": "false",
        "enable-bootstrap-token-auth": "true",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        # As nearly every cluster has it: drivers for storage and networks need it. Nothing of ours does.
        "allow-privileged": "true",
        "etcd-servers": f"https://127.0.0.1:{addresses.etcd_port}",
        "etcd-cafile": pki.certificate(ETCD),
        "etcd-certfile": pki.certificate("apiserver-etcd-client"),
        "etcd-keyfile": pki.key("apiserver-etcd-client"),
        # Machines are reached by address, since nothing here resolves their names, and must prove who they are.
        "kubelet-preferred-address-types": "InternalIP",
        "kubelet-certificate-authority": pki.certificate(CLUSTER),
        "kubelet-client-certificate": pki.certificate("apiserver-kubelet-client"),
        "kubelet-client-key": pki.key("apiserver-kubelet-client"),
        "service-account-issuer": issuer,
        "service-account-key-file": pki.service_account_public,
        "service-account-signing-key-file": pki.key("sa"),
        "requestheader-client-ca-file": pki.certificate(FRONT_PROXY),
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": pki.certificate("front-proxy-client"),
        "proxy-client-key-file": pki.key("front-proxy-client"),
        # The cell has routes to pods, but no service addresses: call webhooks and extension servers at their pods.
        "enable-aggregator-routing": "true",
        "profiling": "false",
    }


def _controller_manager(plane: ControlPlane) -> Mapping[str, object]:
    pki, addresses = plane.pki, plane.addresses
    return {
        "kubeconfig": plane.kubeconfig("controller-manager"),
        "cluster-name": "bedplate",
        # The two that are off by default serve and clear away bootstrap tokens.
        "controllers": "*,bootstrapsigner,tokencleaner",
        "cluster-signing-cert-file": pki.certificate(CLUSTER),
        "cluster-signing-key-file": pki.key(CLUSTER),
        "root-ca-file": pki.certificate(CLUSTER),
        "service-account-private-key-file": pki.key("sa"),
        "use-service-account-credentials": "true",
        "service-cluster-ip-range": addresses.service_cidr,
        # Each machine is told its pod network when it is made.
        "allocate-node-cidrs": "false",
        # At the default rate the first start spends five seconds on making its own service accounts.
        "kube-api-qps": 200,
        "kube-api-burst": 400,
        **_alone(),
    }


def _scheduler(plane: ControlPlane) -> Mapping[str, object]:
    return {"kubeconfig": plane.kubeconfig("scheduler"), **_alone()}


def _alone() -> Mapping[str, object]:
    """What suits the only one of its kind: no election, and nothing listening that nobody asks."""
    return {"leader-elect": "false", "secure-port": 0, "profiling": "false"}
