"""The network of a cell as values: addresses by machine number, and the `ip` commands that make it so.

One bridge, one tap and one route a machine. Everything about a machine's place follows from its number,
so nothing has to be remembered and nothing can be given twice. Pure: `bedplate.local.cell.lan` runs it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from bedplate.local.addresses import GATEWAY, NETWORK_PREFIX, POD_PREFIX
from bedplate.model.errors import OurError
from bedplate.wire.cell import ProcessSpec

BRIDGE = "bedplate0"
BRIDGE_MAC = "52:54:00:75:00:01"
NETWORK = f"{NETWORK_PREFIX}.0"
NETMASK = "255.255.255.0"
PREFIX = 24
NUMBERS = range(1, 201)
FIRST_HOST = 10
DNSMASQ = "dnsmasq"

Command = tuple[str, ...]


def _host(number: int) -> int:
    if number not in NUMBERS:
        raise OurError(f"Machine number {number} is not between {NUMBERS[0]} and {NUMBERS[-1]}.")
    return FIRST_HOST + number


def address(number: int) -> str:
    """The machine's IPv4 address."""
    return f"{NETWORK_PREFIX}.{_host(number)}"


def mac(number: int) -> str:
    return f"52:54:00:75:00:{_host(number):02x}"


def tap(number: int) -> str:
    """The network device in the cell that the machine's own is plugged into."""
    _host(number)
    return f"tap{number}"


def pod_cidr(number: int) -> str:
    """The addresses of the pods on the machine."""
    return f"{POD_PREFIX}.{_host(number)}.0/24"


def prepare(present: Collection[str]) -> list[Command]:
    """Commands that make the bridge, given the names of the network devices that are there."""
    if BRIDGE in present:
        return []
    return [
        ("ip", "link", "set", "lo", "up"),
        ("sysctl", "-q", "-w", "net.ipv4.ip_forward=1"),
        ("ip", "link", "add", BRIDGE, "address", BRIDGE_MAC, "type", "bridge", "stp_state", "0", "forward_delay", "0"),
        ("ip", "address", "add", f"{GATEWAY}/{PREFIX}", "dev", BRIDGE),
        ("ip", "link", "set", BRIDGE, "up"),
    ]


def lend(address: str) -> Command:
    """The command that gives the cell one more address, at which machines find something that lies outside."""
    return ("ip", "address", "replace", f"{address}/32", "dev", BRIDGE)


def attach(number: int, present: Collection[str]) -> list[Command]:
    """Commands that give a machine its tap and its pods their route."""
    device = tap(number)
    plug: list[Command] = [
        ("ip", "tuntap", "add", device, "mode", "tap"),
        ("ip", "link", "set", device, "master", BRIDGE, "up"),
    ]
    route: Command = ("ip", "route", "replace", pod_cidr(number), "via", address(number), "dev", BRIDGE)
    return [*([] if device in present else plug), route]


def detach(number: int, present: Collection[str]) -> list[Command]:
    """Commands that take away what `attach` gave."""
    if tap(number) not in present:
        return []
    return [
        ("ip", "route", "del", pod_cidr(number), "via", address(number), "dev", BRIDGE),
        ("ip", "link", "del", tap(number)),
    ]


class _Link(msgspec.Struct, frozen=True):
    ifname: str = ""


def device_names(links: bytes) -> frozenset[str]:
    """The names in the output of `ip -json link show`."""
    return frozenset(link.ifname for link in msgspec.json.decode(links, type=list[_Link]) if link.ifname)


def dhcp_hosts() -> str:
    """A line for every machine there can be. No line depends on which machines there are."""
    return "".join(f"{mac(number)},{address(number)}\n" for number in NUMBERS)


def dnsmasq(folder: Path, hosts: Path, names: Mapping[str, str]) -> ProcessSpec:
    """DHCP for the bridge, and a name server that answers at once that it knows nothing outside.

    What it knows are `names`, each with its address. The only user of a cell is root, which is what
    dnsmasq must be told to stay.
    """
    argv = (
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--user=",
        "--group=",
        "--pid-file=",
        "--log-facility=-",
        f"--interface={BRIDGE}",
        "--except-interface=lo",
        "--bind-interfaces",
        "--no-hosts",
        "--no-resolv",
        "--no-ping",
        "--dhcp-authoritative",
        "--dhcp-rapid-commit",
        f"--dhcp-range={NETWORK},static,{NETMASK},infinite",
        f"--dhcp-hostsfile={hosts}",
        f"--dhcp-leasefile={folder / 'dnsmasq.leases'}",
        *(f"--host-record={name},{address}" for name, address in names.items()),
    )
    return ProcessSpec(name=DNSMASQ, argv=argv, log=str(folder / "dnsmasq.log"), restart=True)
