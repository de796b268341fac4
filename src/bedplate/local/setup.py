"""Puts a control plane's files in place and waits until it answers."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx

from bedplate.host.clock import Clock, wait_until
from bedplate.host.files import write_atomically
from bedplate.local.authorities import CLUSTER, Pki
from bedplate.local.controlplane import COMPONENT_KUBECONFIGS, ControlPlane
from bedplate.local.kubeconfig import certificate_kubeconfig
from bedplate.model.errors import PeerError

POLL_SECONDS = 0.1
EVERY_NAMESPACE_HAS = "/api/v1/namespaces/default/serviceaccounts/default"
"""Made by the controller manager: once it is there, that one works too."""


def write_kubeconfigs(plane: ControlPlane, *, cluster: str) -> None:
    """The kubeconfig of each component that is a client, mode 0600, in place before the processes start."""
    for holder in COMPONENT_KUBECONFIGS:
        content = certificate_kubeconfig(plane.pki, holder, cluster=cluster, server=plane.addresses.server)
        write_atomically(plane.kubeconfig(holder), content, mode=0o600)


def write_admin_kubeconfigs(pki: Pki, folder: Path, *, cluster: str, relay: str) -> tuple[Path, Path]:
    """For people on this computer, through `relay` (`https://127.0.0.1:PORT`): the administrator's, the first one's.

    The first administrator stands above RBAC and only brings in the roles; keep to the other one after that.
    """
    paths = (folder / "admin.yaml", folder / "first-admin.yaml")
    for path in paths:
        content = certificate_kubeconfig(pki, path.stem, cluster=cluster, server=relay)
        write_atomically(path, content, mode=0o600)
    return paths


def api_client(pki: Pki, holder: str, *, server: str) -> httpx.Client:
    """An HTTP client of the API server at `server` with the client certificate of `holder`."""
    context = ssl.create_default_context(cafile=str(pki.certificate(CLUSTER)))
    context.load_cert_chain(pki.certificate(holder), pki.key(holder))
    # The environment may name a proxy for the world outside; the cluster is not there.
    return httpx.Client(base_url=server, verify=context, trust_env=False, timeout=10.0)


def wait_ready(api: httpx.Client, clock: Clock, *, logs: Path, seconds: float = 60.0) -> float:
    """Wait until API server and controller manager work; the seconds that took.

    `api` may act as the first administrator, the only one who can before the roles are there. In a cluster
    that was up before, what the controller manager made is there already, so only the API server is waited
    for. Raises PeerError with the last answer after `seconds`; `logs` is the folder to look into then.
    """
    waited = wait_until(lambda: _missing(api), clock, seconds=seconds, every=POLL_SECONDS)
    if waited.missing:
        raise PeerError(
            f"The control plane was not ready within {seconds:g} s.",
            details=waited.missing,
            resolution=f"Look at the logs in {logs}.",
        )
    return waited.seconds


def _missing(api: httpx.Client) -> str:
    """What is still missing, in the API server's own words; empty when nothing is."""
    for path in ("/readyz", EVERY_NAMESPACE_HAS):
        try:
            answer = api.get(path)
        except httpx.TransportError as problem:
            return f"{path}: {problem}"
        if answer.status_code != httpx.codes.OK:
            return f"{path}: {answer.status_code} {answer.text}"
    return ""
