from bedplate.host.links import default_ipv4, default_ipv6, ipv6_addresses
from bedplate.model.network import Gateway

ROUTES = [
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT",
    "enp0s2\t00004B0A\t00000000\t0001\t0\t0\t1024\t00FFFFFF\t0\t0\t0",
    "enp0s2\t00000000\t01004B0A\t0003\t0\t0\t1024\t00000000\t0\t0\t0",
]
ZERO = "0" * 32
NEXT_HOP = "fe80000000000000000000000000000a"


def test_the_gateway_is_that_of_the_default_route() -> None:
    assert default_ipv4(ROUTES) == Gateway("10.75.0.1", "enp0s2")


def test_routes_to_networks_are_no_gateway() -> None:
    assert default_ipv4(ROUTES[:2]) is None


def test_the_ipv6_route_that_rejects_is_no_gateway() -> None:
    reject = f"{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 00000001 00000000 00200200       lo"
    real = f"{ZERO} 00 {ZERO} 00 {NEXT_HOP} 00000400 00000001 00000000 00000003   enp0s2"
    assert default_ipv6([reject]) is None
    assert default_ipv6([reject, real]) == Gateway("fe80::a", "enp0s2")


def test_only_global_ipv6_addresses_count() -> None:
    link_local = f"{NEXT_HOP} 02 40 20 80   enp0s2"
    reachable = "fd000000000000000000000000000001 02 40 00 80   enp0s2"
    assert ipv6_addresses([link_local, reachable]) == {"enp0s2": ("fd00::1/64",)}
