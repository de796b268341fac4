"""The facts of health, as they are gathered from a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.host.peers import SystemPeers
from bedplate.host.run import Completed
from bedplate.model.network import Answer, Reach
from bedplate.node.apiserver import OwnNode
from bedplate.node.health.facts import Facts
from bedplate.node.health.gather import CONTAINERD, Doctor
from bedplate.node.health.probes import FileProbe, HttpProbe, Probe, TcpProbe, UnitProbe
from bedplate.testing.machine import FakeMachine
from bedplate.testing.network import FakePeers
from bedplate.testing.runner import FakeRunner, completed

WEB, MARK = "http://127.0.0.1:8080/healthz", "var/lib/bedplate/mark"


def systemctl(argv: tuple[str, ...]) -> Completed:
    return completed(argv, stdout=b"active\n" if "is-active" in argv else b"[]")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / MARK).parent.mkdir(parents=True)
    (tmp_path / MARK).touch()
    return tmp_path


def gather(root: Path, *probes: Probe, unsettled: str = "") -> Facts:
    peers = FakePeers(
        answers={WEB: Answer(Reach.ANSWERED, 200)}, open_ports={("db", 5432)}, http2_sockets={root / CONTAINERD}
    )
    runner, machine = FakeRunner(systemctl), FakeMachine()
    return Doctor(OwnNode("node", peers, root), peers, runner, machine, probes, unsettled, root).gather()


def test_a_sound_machine_without_a_cluster_has_nothing_to_tell(root: Path) -> None:
    facts = gather(root)
    assert (facts.asked, facts.units, facts.state_writable, facts.containerd_answers) == (True, (), True, True)
    assert (facts.membership, facts.probed, facts.unsettled) == (None, (), "")


def test_why_settings_cannot_be_used_is_a_fact_among_the_others(root: Path) -> None:
    facts = gather(root, unsettled="Expected `int`")
    assert (facts.unsettled, facts.containerd_answers) == ("Expected `int`", True)


@pytest.mark.parametrize(
    ("probe", "problem"),
    [
        (HttpProbe(name="a", url=WEB), ""),
        (HttpProbe(name="a", url=WEB, status=204), "answers 200, not 204"),
        (HttpProbe(name="a", url="http://127.0.0.1/"), "http://127.0.0.1/: refused"),
        (TcpProbe(name="a", host="db", port=5432), ""),
        (TcpProbe(name="a", host="db", port=1), "db at port 1 takes no connection"),
        (UnitProbe(name="a", unit="b.service"), ""),
        (UnitProbe(name="a", unit="b.service", state="inactive"), "b.service is active, not inactive"),
        (FileProbe(name="a", path=f"/{MARK}"), ""),
        (FileProbe(name="a", path=f"/{MARK}", there=False), f"/{MARK} is there"),
        (FileProbe(name="a", path="/none"), "/none is not there"),
    ],
)
def test_a_probe_holds_or_says_why_not(root: Path, probe: Probe, problem: str) -> None:
    (probed,) = gather(root, probe).probed
    assert (probed.name, probed.problem) == ("a", problem)


def test_a_name_that_is_none_is_no_more_than_a_port_that_is_closed(root: Path) -> None:
    peers = SystemPeers()
    probes = (TcpProbe(name="a", host="a..b", port=80),)
    facts = Doctor(
        OwnNode("node", peers, root), peers, FakeRunner(systemctl), FakeMachine(), probes, root=root
    ).gather()
    assert facts.probed[0].problem == "a..b at port 80 takes no connection"
