"""What a cluster keeps of a control plane that is not its own, and how machines reach it. Values only."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path

import httpx
import msgspec

from bedplate.local.addresses import API_ELSEWHERE, GATEWAY, NETWORK_PREFIX, POD_CIDR
from bedplate.model.errors import UserError

HTTPS_PORT = 443
CELL_NETWORKS = (IPv4Network(f"{NETWORK_PREFIX}.0/24"), IPv4Network(POD_CIDR))


class Foreign(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A control plane of somebody else's.

    `kubeconfig` and `context` say how we reach it, `server` is its URL there and `authority` the CA of
    its certificate in PEM. `name` is how machines know it: a name or an IPv4 address of that certificate.
    `cluster_dns` is the address of its name service for pods, empty where there is none.
    """

    kubeconfig: Path
    context: str
    server: str
    authority: bytes
    name: str
    cluster_dns: str

    @property
    def target(self) -> str:
        """Host and port, as this computer connects to it."""
        url = httpx.URL(self.server)
        host = f"[{url.host}]" if ":" in url.host else url.host
        return f"{host}:{self.port}"

    @property
    def port(self) -> int:
        return httpx.URL(self.server).port or HTTPS_PORT

    @property
    def address(self) -> str:
        """The address in the cell at which machines find it."""
        return self.name if _as_address(self.name) else API_ELSEWHERE

    @property
    def names(self) -> dict[str, str]:
        """What the cell's name server has to know, name by address."""
        return {} if _as_address(self.name) else {self.name: self.address}

    @property
    def machine_server(self) -> str:
        """Its URL as machines use it."""
        path = httpx.URL(self.server).path.rstrip("/")
        return f"https://{self.name}:{self.port}{path}"

    def same_place(self, other: Foreign) -> bool:
        """Whether machines that were made for the one reach the other."""
        return (self.machine_server, self.authority) == (other.machine_server, other.authority)


def choose_name(certified: Iterable[str]) -> str:
    """The first name or address of a certificate by which a machine in a cell can call its owner.

    The kubelet keeps a server's URL but not the `tls-server-name` of its bootstrap kubeconfig, so what it
    calls must itself stand in the certificate. Raises `UserError` when nothing there will do.
    """
    names = tuple(certified)
    chosen = next((name for name in names if callable_from_cell(name)), None)
    if chosen is None:
        raise UserError(
            "The certificate of the API server names nothing that a machine could call it by.",
            details=f"It names {', '.join(names) or 'nothing at all'}.",
            resolution="Give it a DNS name with a dot in it (kubeadm: apiServer.certSANs).",
        )
    return chosen


def callable_from_cell(name: str) -> bool:
    """Whether a machine can find a server by this name: an IPv4 address of elsewhere, or a DNS name with a dot."""
    if _is_any_address(name):
        address = _as_address(name)
        return address is not None and _lies_elsewhere(address)
    # Machines ask no name server for a name without a dot.
    return "." in name and "*" not in name and name != "localhost" and not name.endswith((".localhost", ".local"))


def _lies_elsewhere(address: IPv4Address) -> bool:
    if str(address) == GATEWAY:
        return True
    special = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    return not special and not any(address in network for network in CELL_NETWORKS)


def _as_address(name: str) -> IPv4Address | None:
    try:
        return IPv4Address(name)
    except ValueError:
        return None


def _is_any_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
