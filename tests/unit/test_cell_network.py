"""Everything about a machine's place on the network follows from its number."""

from pathlib import Path

import pytest

from bedplate.local.cell import network
from bedplate.local.cell.lan import Lan
from bedplate.model.errors import OurError
from bedplate.testing.cell import FakeCell


@pytest.mark.parametrize(
    ("number", "address", "mac", "tap", "pods"),
    [
        (1, "10.75.0.11", "52:54:00:75:00:0b", "tap1", "10.244.11.0/24"),
        (200, "10.75.0.210", "52:54:00:75:00:d2", "tap200", "10.244.210.0/24"),
    ],
)
def test_a_number_gives_every_address(number: int, address: str, mac: str, tap: str, pods: str) -> None:
    given = (network.address(number), network.mac(number), network.tap(number), network.pod_cidr(number))
    assert given == (address, mac, tap, pods)


@pytest.mark.parametrize("number", [0, 201])
def test_other_numbers_have_no_place(number: int) -> None:
    with pytest.raises(OurError):
        network.tap(number)


def test_dhcp_knows_every_machine_there_can_be() -> None:
    hosts = network.dhcp_hosts().splitlines()
    assert len(hosts) == len(set(hosts)) == 200
    assert hosts[0] == "52:54:00:75:00:0b,10.75.0.11"


def test_a_tap_is_made_plugged_in_and_routed() -> None:
    assert network.attach(2, present={"lo", "bedplate0"}) == [
        ("ip", "tuntap", "add", "tap2", "mode", "tap"),
        ("ip", "link", "set", "tap2", "master", "bedplate0", "up"),
        ("ip", "route", "replace", "10.244.12.0/24", "via", "10.75.0.12", "dev", "bedplate0"),
    ]


def test_what_is_there_is_not_made_again() -> None:
    assert network.prepare(present={"lo", "bedplate0"}) == []
    assert [command[:3] for command in network.attach(2, present={"tap2"})] == [("ip", "route", "replace")]
    assert network.detach(2, present={"lo"}) == []


def test_a_network_can_be_prepared_twice(tmp_path: Path) -> None:
    cell = FakeCell()
    lan = Lan(cell, tmp_path)
    lan.prepare()
    before = list(cell.commands)
    lan.prepare()
    assert (cell.commands, list(cell.specs)) == (before, ["dnsmasq"])


def test_a_network_knows_the_names_it_is_given(tmp_path: Path) -> None:
    cell = FakeCell()
    Lan(cell, tmp_path).prepare(names={"api.example.com": "10.75.0.2"})
    assert "--host-record=api.example.com,10.75.0.2" in cell.specs["dnsmasq"].argv


def test_detaching_gives_back_what_attaching_took(tmp_path: Path) -> None:
    cell = FakeCell()
    lan = Lan(cell, tmp_path)
    lan.attach(3)
    assert cell.devices == {"lo", "tap3"}
    lan.detach(3)
    assert cell.devices == {"lo"}
