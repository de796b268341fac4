"""What every local cluster runs: manifests from `deploy/local`, filled in and applied."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template

from bedplate.local.controlplane import Addresses
from bedplate.local.kubectl import Kubectl
from bedplate.model.errors import OurError

ACCESS = "access"
ADDONS = ("kube-proxy", "coredns")
MANIFESTS = (ACCESS, *ADDONS)
"""All that is applied, in this order."""
WORKLOADS = ("daemonset/kube-proxy", "deployment/coredns")


def manifests_folder(checkout: Path) -> Path:
    """The folder of manifests of a checkout."""
    return checkout / "deploy" / "local"


def addon_values(addresses: Addresses, *, kubernetes: str, coredns: str) -> dict[str, str]:
    """What the manifests are filled in with; `kubernetes` and `coredns` are versions, which name the images."""
    return {
        "API_HOST": addresses.api,
        "API_PORT": str(addresses.api_port),
        "CLUSTER_DNS": addresses.cluster_dns,
        "CLUSTER_DOMAIN": addresses.cluster_domain,
        "POD_CIDR": addresses.pod_cidr,
        "KUBERNETES_VERSION": kubernetes,
        "COREDNS_VERSION": coredns,
    }


def fill(folder: Path, name: str, values: Mapping[str, str]) -> bytes:
    """The manifest `name` with each `${KEY}` replaced. Raises OurError for a key without a value."""
    try:
        return Template((folder / f"{name}.yaml").read_text()).substitute(values).encode()
    except (KeyError, ValueError) as problem:
        raise OurError(f"The manifest {name} cannot be filled in.", details=str(problem)) from problem


def install(first_admin: Kubectl, admin: Kubectl, *, folder: Path, values: Mapping[str, str]) -> tuple[str, ...]:
    """Bring in the roles as the first administrator, then every addon as the ordinary one; a line for each object.

    What is there already is brought up to date.
    """
    lines = first_admin.apply(fill(folder, ACCESS, {}))
    for name in ADDONS:
        lines += admin.apply(fill(folder, name, values))
    return lines


def wait_for(admin: Kubectl, *, seconds: int = 300) -> None:
    """Wait until every add-on runs: before that, pods reach no Service and find no name."""
    for kind in WORKLOADS:
        status = ("--namespace=kube-system", "rollout", "status", kind, f"--timeout={seconds}s")
        admin.run(*status, seconds=seconds + 30.0)
