"""The machine's network links, addresses and default route, as the kernel tells them without a program to ask."""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv6Address
from pathlib import Path
from typing import Protocol

from bedplate.model.network import Gateway, Link

GET_ADDRESS, GET_NETMASK = 0x8915, 0x891B
"""ioctl numbers (netdevice(7))."""
GLOBAL_SCOPE = "00"


class Links(Protocol):
    """Questions about the machine's own network."""

    def links(self) -> tuple[Link, ...]:
        """The network cards, and the link of the default route where that is none of them."""
        ...

    def gateway(self) -> Gateway | None:
        """The default route, that of IPv4 first."""
        ...


class SystemLinks:
    """Reads /proc/net and /sys/class/net below `root`."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._devices = root / "sys/class/net"
        self._tables = root / "proc/net"

    def links(self) -> tuple[Link, ...]:
        gateway = self.gateway()
        names = {path.name for path in self._devices.iterdir() if (path / "device").exists()}
        names |= {gateway.link} if gateway else set()
        six = ipv6_addresses(_lines(self._tables / "if_inet6"))
        return tuple(
            Link(name, self._carrier(name), _ipv4_addresses(name) + six.get(name, ())) for name in sorted(names)
        )

    def gateway(self) -> Gateway | None:
        four = default_ipv4(_lines(self._tables / "route"))
        return four or default_ipv6(_lines(self._tables / "ipv6_route"))

    def _carrier(self, name: str) -> bool:
        try:
            return (self._devices / name / "carrier").read_text().strip() == "1"
        except OSError:  # a link that is switched off does not even say
            return False


def default_ipv4(lines: Iterable[str]) -> Gateway | None:
    """The first default route in /proc/net/route, whose addresses are hexadecimal in the machine's byte order."""
    for fields in (line.split() for line in lines):
        if len(fields) > 7 and fields[1] == fields[7] == "00000000":
            address = IPv4Address(struct.pack("=I", int(fields[2], 16)))
            return Gateway("" if address.is_unspecified else str(address), fields[0])
    return None


def default_ipv6(lines: Iterable[str]) -> Gateway | None:
    """The first default route in /proc/net/ipv6_route that leads out: there is always one that rejects, on lo."""
    for fields in (line.split() for line in lines):
        if len(fields) > 9 and fields[0] == "0" * 32 and fields[1] == "00" and fields[9] != "lo":
            address = IPv6Address(int(fields[4], 16))
            return Gateway("" if address.is_unspecified else str(address), fields[9])
    return None


def ipv6_addresses(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The global addresses in /proc/net/if_inet6 by link."""
    found: dict[str, tuple[str, ...]] = {}
    for fields in (line.split() for line in lines):
        if len(fields) == 6 and fields[3] == GLOBAL_SCOPE:
            address = f"{IPv6Address(int(fields[0], 16))}/{int(fields[2], 16)}"
            found[fields[5]] = (*found.get(fields[5], ()), address)
    return found


def _ipv4_addresses(name: str) -> tuple[str, ...]:
    """The link's first address: a second one is rare, and another one does not help a node to join."""
    request = struct.pack("256s", name.encode()[:15])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            address, netmask = (
                str(IPv4Address(fcntl.ioctl(asked, number, request)[20:24])) for number in (GET_ADDRESS, GET_NETMASK)
            )
    except OSError:
        return ()
    return (IPv4Interface(f"{address}/{netmask}").with_prefixlen,)


def _lines(table: Path) -> list[str]:
    return table.read_text().splitlines() if table.exists() else []
