"""The network plan, carried out by the real kernel in a real cell."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.host.clock import SystemClock
from bedplate.host.run import SystemRunner
from bedplate.local.cell.client import OpenCell, open_cell
from bedplate.local.cell.lan import Lan

NEEDED = ("unshare", "ip", "sysctl", "dnsmasq")


def taps_work() -> bool:
    if not all(shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin") for name in NEEDED):
        return False
    make_tap = ["ip", "tuntap", "add", "tap1", "mode", "tap"]
    probe = ["unshare", "--user", "--map-root-user", "--net", *make_tap]
    path = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    return SystemRunner().run(probe, env=path, ok=range(256)).code == 0


pytestmark = pytest.mark.skipif(
    not taps_work(), reason="needs iproute2, procps, dnsmasq-base and a /dev/net/tun that this user may open"
)


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[OpenCell]:
    opened = open_cell(tmp_path / "cell", relays={})
    yield opened
    opened.shutdown()


def routes(cell: OpenCell) -> list[str]:
    return [line.split(" dev")[0] for line in cell.run(["ip", "route"]).text.splitlines()]


def test_machines_are_attached_and_detached(cell: OpenCell, tmp_path: Path) -> None:
    lan = Lan(cell, tmp_path / "lan")
    lan.prepare()
    for number in (1, 2, 2):
        lan.attach(number)
    assert routes(cell) == ["10.75.0.0/24", "10.244.11.0/24 via 10.75.0.11", "10.244.12.0/24 via 10.75.0.12"]
    for number in (1, 1):
        lan.detach(number)
    assert routes(cell) == ["10.75.0.0/24", "10.244.12.0/24 via 10.75.0.12"]


def test_packets_are_passed_on(cell: OpenCell, tmp_path: Path) -> None:
    Lan(cell, tmp_path / "lan").prepare()
    assert cell.run(["sysctl", "-n", "net.ipv4.ip_forward"]).text == "1\n"


def test_dhcp_is_served_by_the_only_user_there_is(cell: OpenCell, tmp_path: Path) -> None:
    lan = Lan(cell, tmp_path / "lan")
    lan.prepare()
    log = tmp_path / "lan/dnsmasq.log"
    clock = SystemClock()
    end = clock.monotonic() + 10
    while "dhcp-hosts" not in log.read_text() and clock.monotonic() < end:
        clock.sleep(0.02)
    assert "DHCP, static leases only on 10.75.0.0" in log.read_text()
    assert [(process.state, process.restarts) for process in cell.list()] == [("running", 0)]
