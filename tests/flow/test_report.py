"""The report of a node that is a folder, with a network and servers made of values."""

from __future__ import annotations

import json
import ssl
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bedplate.host.run import Completed
from bedplate.local.kubeconfig import bootstrap_kubeconfig
from bedplate.model.network import Answer, Caller, Reach
from bedplate.node.report.facts import Facts, NodeState, NoState, Request, Server
from bedplate.node.report.gather import CERTIFICATE, HEALTH, NAME_SERVERS, REQUESTS, SYNCHRONISED, Node
from bedplate.node.report.watch import EVERY_SECONDS, watch
from bedplate.node.units import BadUnit
from bedplate.testing.clock import START, FakeClock
from bedplate.testing.network import FakeLinks, FakePeers
from bedplate.testing.runner import FakeRunner, completed

SERVER = "https://10.75.0.1:6443"
YEAR = timedelta(days=365)
KEY = ec.generate_private_key(ec.SECP256R1())
OK = Answer(Reach.ANSWERED, 200)


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def certificate(start: datetime) -> bytes:
    builder = x509.CertificateBuilder(name("a"), name("a"), KEY.public_key(), 1)
    signed = builder.not_valid_before(start).not_valid_after(start + YEAR).sign(KEY, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


SYSTEM = Path(__file__).parents[2] / "os/usr/lib/systemd/system"
AUTHORITY = certificate(START - YEAR)


class World:
    """A node named n1 that has a bootstrap token, and everything that it can ask."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.peers = FakePeers(name_servers={"10.75.0.1"}, names={"10.75.0.1"})
        self.units: list[dict[str, str]] = []
        self.clock = FakeClock()
        self.runner = FakeRunner(self._run)
        self.put(NAME_SERVERS, b"# managed\nnameserver 10.75.0.1\nsearch .\n")
        self.put("etc/kubernetes/bootstrap-kubelet.conf", kubeconfig(token="abcdef.0123456789abcdef"))

    def put(self, path: str, content: bytes = b"") -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(content)

    def answer(self, path: str, answer: Answer) -> None:
        self.peers.answers[path if "://" in path else SERVER + path] = answer

    def gather(self) -> Facts:
        return Node("n1", FakeLinks(), self.peers, self.runner, self.clock, self.root).gather()

    def join(self) -> None:
        """The kubelet got its certificate, and the cluster sees the node Ready."""
        self.put(CERTIFICATE, certificate(START))
        self.put("var/lib/kubelet/kubeconfig", kubeconfig(token=""))
        self.answer("/readyz", OK)
        self.answer("/api/v1/nodes/n1", node_object("True"))
        self.answer(HEALTH, OK)

    def _run(self, argv: tuple[str, ...]) -> Completed:
        if argv[0] == "systemctl":
            return completed(argv, stdout=json.dumps(self.units).encode())
        return completed(argv, stdout=b"first\n  last words\n")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def kubeconfig(*, token: str, server: str = SERVER, authority: bytes = AUTHORITY) -> bytes:
    return bootstrap_kubeconfig(cluster="local", server=server, authority=authority, token=token)


def node_object(ready: str, message: str = "") -> Answer:
    conditions = [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready, "message": message}]
    return Answer(Reach.ANSWERED, 200, json.dumps({"kind": "Node", "status": {"conditions": conditions}}).encode())


def signing_request(node: str, created: str, *conditions: str) -> dict[str, object]:
    asked = x509.CertificateSigningRequestBuilder().subject_name(name(f"system:node:{node}")).sign(KEY, hashes.SHA256())
    request = b64encode(asked.public_bytes(serialization.Encoding.PEM)).decode()
    return {
        "metadata": {"name": created, "creationTimestamp": created},
        "spec": {"request": request, "signerName": "kubernetes.io/kube-apiserver-client-kubelet"},
        "status": {"conditions": [{"type": each} for each in conditions]},
    }


def requests(*items: dict[str, object]) -> Answer:
    return Answer(Reach.ANSWERED, 200, json.dumps({"items": items}).encode())


def test_before_joining_the_server_and_the_token_are_those_of_the_credential(world: World) -> None:
    world.answer("/readyz", OK)
    facts = world.gather()
    assert facts.server == Server("10.75.0.1", 6443, token=True)
    assert (f"{SERVER}/readyz", Caller(AUTHORITY, token="abcdef.0123456789abcdef")) in world.peers.asked
    assert facts.api == OK


def test_after_joining_the_certificate_is_shown_and_the_token_is_not(world: World) -> None:
    world.join()
    world.gather()
    callers = {caller for url, caller in world.peers.asked if url.startswith(SERVER)}
    assert callers == {Caller(AUTHORITY, certificate=str(world.root / CERTIFICATE))}


def test_a_node_without_a_cluster_asks_nobody_for_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    (tmp_path / "etc/kubernetes/bootstrap-kubelet.conf").unlink()
    facts = world.gather()
    assert (facts.server, facts.api, facts.unreadable) == (None, None, "")
    assert [url for url, _ in world.peers.asked] == [HEALTH]


def test_a_credential_that_is_no_kubeconfig_is_named(world: World) -> None:
    world.put("etc/kubernetes/bootstrap-kubelet.conf", b"clusters: 3")
    assert world.gather().unreadable.startswith("bootstrap-kubelet.conf: ")


@pytest.mark.parametrize("authority", [ssl.PEM_cert_to_DER_cert(AUTHORITY.decode()), b"none"], ids=["DER", "text"])
def test_an_authority_that_is_not_in_pem_is_named(world: World, authority: bytes) -> None:
    world.put("etc/kubernetes/bootstrap-kubelet.conf", kubeconfig(token="a", authority=authority))
    facts = world.gather()
    assert facts.unreadable == "bootstrap-kubelet.conf: the cluster's CA is not in PEM"
    assert facts.api is None


@pytest.mark.parametrize("server", ["https://[::1", "https://:6443", "10.75.0.1:6443", "https://a:port"])
def test_a_server_whose_address_is_none_is_no_server(world: World, server: str) -> None:
    world.put("etc/kubernetes/bootstrap-kubelet.conf", kubeconfig(token="a", server=server))
    assert world.gather().server is None


def test_a_report_that_fails_is_started_again() -> None:
    unit = (SYSTEM / "bedplate-report.service").read_text().splitlines()
    assert "Restart=on-failure" in unit


def test_a_half_written_certificate_is_none(world: World) -> None:
    world.put(CERTIFICATE, certificate(START)[:200])
    assert world.gather().certificate is None


def test_name_servers_that_do_not_answer_are_named(world: World) -> None:
    world.put(NAME_SERVERS, b"nameserver 10.75.0.1\nnameserver 10.75.0.9\n")
    network = world.gather().network
    assert (network.name_servers, network.silent) == (("10.75.0.1", "10.75.0.9"), ("10.75.0.9",))


def test_the_clock_is_held_to_the_clusters_authority(world: World) -> None:
    time = world.gather().time
    assert (time.now, time.synchronised, time.trusted_from) == (START, False, START - YEAR)


def test_the_clock_is_synchronised_once_timesyncd_says_so(world: World) -> None:
    world.put(SYNCHRONISED)
    assert world.gather().time.synchronised


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (requests(), Request.NONE),
        (requests(signing_request("n10", "2026-11-24T06:00:00Z")), Request.NONE),
        (requests(signing_request("n1", "2026-11-24T06:00:00Z")), Request.PENDING),
        (requests(signing_request("n1", "2026-11-24T06:00:00Z", "Approved")), Request.APPROVED),
        (requests(signing_request("n1", "2026-11-24T06:00:00Z", "Denied")), Request.DENIED),
        (
            requests(
                signing_request("n1", "2026-11-24T06:00:00Z"), signing_request("n1", "2026-11-23T06:00:00Z", "Denied")
            ),
            Request.PENDING,
        ),
        (Answer(Reach.ANSWERED, 403), Request.UNKNOWN),
        (Answer(Reach.ANSWERED, 200, b"{"), Request.UNKNOWN),
    ],
)
def test_the_newest_request_of_this_node_counts(world: World, listed: Answer, expected: Request) -> None:
    world.answer("/readyz", OK)
    world.answer(REQUESTS, listed)
    assert world.gather().request is expected


def test_failed_and_restarting_units_come_with_their_last_words(world: World) -> None:
    world.units = [
        {"unit": "a.service", "load": "loaded", "active": "failed", "sub": "failed", "description": "A"},
        {"unit": "b.service", "load": "loaded", "active": "activating", "sub": "auto-restart", "description": "B"},
    ]
    assert world.gather().units == (
        BadUnit("a.service", restarts=False, last_words="last words"),
        BadUnit("b.service", restarts=True, last_words="last words"),
    )


@pytest.mark.parametrize(
    "systemctl",
    [lambda argv: completed(argv, code=1), lambda argv: completed(argv, stdout=b"busy")],
    ids=["fails", "says something else"],
)
def test_nobody_telling_of_units_is_not_the_same_as_no_bad_unit(
    world: World, systemctl: Callable[[tuple[str, ...]], Completed]
) -> None:
    world.runner = FakeRunner(systemctl)
    assert world.gather().units is None


def test_the_node_says_of_itself_what_the_cluster_says(world: World) -> None:
    world.join()
    world.answer("/api/v1/nodes/n1", node_object("False", "no pod network"))
    assert world.gather().state == NodeState(ready=False, message="no pod network")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(Reach.ANSWERED, 404), NoState.UNREGISTERED),
        (Answer(Reach.ANSWERED, 403), NoState.UNKNOWN),
        (Answer(Reach.ANSWERED, 500), NoState.UNKNOWN),
        (Answer(Reach.ANSWERED, 200, b"{"), NoState.UNKNOWN),
        (Answer(Reach.SILENT), NoState.UNKNOWN),
        (Answer(Reach.ANSWERED, 200, b'{"kind": "Node"}'), NodeState(ready=False)),
    ],
)
def test_only_an_api_server_that_knows_no_such_node_makes_it_unregistered(
    world: World, answer: Answer, expected: NodeState | NoState
) -> None:
    world.join()
    world.answer("/api/v1/nodes/n1", answer)
    assert world.gather().state == expected


class Story:
    """Facts one after the other; `said` holds what the console gets, with the time."""

    def __init__(self, *facts: Facts) -> None:
        self._facts = list(facts)
        self.clock = FakeClock()
        self.said: list[tuple[float, str]] = []
        watch(lambda: self._facts.pop(0), self._say, self.clock)

    def _say(self, line: str) -> None:
        self.said.append((self.clock.monotonic(), line))

    def at(self, seconds: float) -> list[str]:
        return [line.split()[0] for when, line in self.said if when == seconds]


ALL = ["address", "dns", "clock", "api", "certificate", "unit", "node"]


def test_a_ready_node_reports_once_and_ends(world: World) -> None:
    world.join()
    story = Story(world.gather())
    assert story.at(0) == ALL


def test_afterwards_only_lines_that_changed_are_said(world: World) -> None:
    before = world.gather()
    world.join()
    after = world.gather()
    story = Story(before, before, after)
    assert story.at(0) == ALL
    assert story.at(EVERY_SECONDS) == []
    assert story.at(2 * EVERY_SECONDS) == ["api", "certificate", "node"]


def test_a_line_that_comes_back_is_said_again(world: World) -> None:
    down = world.gather()
    world.answer("/readyz", OK)
    up = world.gather()
    world.join()
    story = Story(down, up, down, world.gather())
    assert story.at(2 * EVERY_SECONDS) == ["api", "certificate", "node"]


def test_new_last_words_of_the_same_unit_are_not_said_again(world: World) -> None:
    world.join()
    ready = world.gather()
    first, second = (
        replace(ready, kubelet_answers=False, units=(BadUnit("a.service", restarts=True, last_words=words),))
        for words in ("pid 1", "pid 2")
    )
    assert Story(first, second, ready).at(EVERY_SECONDS) == []
