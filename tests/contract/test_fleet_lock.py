"""The FleetLock protocol over real HTTP and TLS, against a server that answers as airlock does."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bedplate.host.clock import SystemClock
from bedplate.host.http import Route
from bedplate.host.post import SystemPost
from bedplate.local.authorities import CLUSTER, ETCD, Pki
from bedplate.local.pki import ensure_pki
from bedplate.node.settings import Leave
from bedplate.node.update.leave import FleetLock, LeaveToReboot, leave_of
from bedplate.node.update.main import route_of
from bedplate.testing.home import free_port
from bedplate.testing.proxy import tunnelling

GROUPS = ("workers", "masters")


@dataclass
class Server:
    """One slot for each group: whoever holds it may ask again, others may not.

    Statuses and words are those of airlock at commit a3585ed, which was asked the same: 500 where the slot is taken.
    """

    holders: dict[str, str] = field(default_factory=dict)
    port: int = 0

    def answer(self, path: str, protocol: str | None, group: str, identity: str) -> tuple[int, str, str]:
        if protocol != "true":
            return 400, "invalid_client_identity", "wrong 'fleet-lock-protocol' header"
        if group not in GROUPS:
            return 400, "unknown_group", f'unknown group "{group}"'
        if path == "/v1/pre-reboot":
            if self.holders.setdefault(group, identity) == identity:
                return 200, "", ""
            return 500, "failed_lock", "all 1 semaphore slots currently locked"
        if path == "/v1/steady-state":
            if self.holders.get(group) == identity:
                del self.holders[group]
            return 200, "", ""
        return 404, "", ""

    def client(self, identity: str, group: str = "workers") -> FleetLock:
        return FleetLock(f"http://127.0.0.1:{self.port}/", group, identity, SystemPost(Route({})))


@contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["client_params"]
            protocol = self.headers.get("fleet-lock-protocol")
            code, kind, value = state.answer(self.path, protocol, asked["group"], asked["id"])
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps({"kind": kind, "value": value}).encode() if kind else b"")

        def log_message(self, *arguments: object) -> None:
            del arguments

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *arguments: object) -> None:
            """A client that does not trust us goes away."""
            del arguments

    with Quiet(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with listening() as state:
        yield state


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return ensure_pki(tmp_path_factory.mktemp("pki"), SystemClock())


@pytest.fixture
def secure(pki: Pki) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.certificate("apiserver"), pki.key("apiserver"))
    with listening(context) as state:
        yield state


def told(settings: Leave) -> LeaveToReboot:
    """Whom a node with these settings asks."""
    (asked,) = leave_of(settings, identity="1", post=SystemPost(route_of(settings)), clock=SystemClock())
    return asked


def over_tls(server: Server, *, ca: Path | None = None, proxy: str = "") -> LeaveToReboot:
    url = f"https://127.0.0.1:{server.port}"
    return told(Leave(fleet_lock=url, group="workers", ca=ca.read_text() if ca else "", proxy=proxy))


def test_leave_is_given_to_one_and_given_back(server: Server) -> None:
    one, two = server.client("1"), server.client("2")
    assert one.ask() == ""
    assert one.ask() == ""
    assert two.ask() == "the FleetLock server answers 500: all 1 semaphore slots currently locked"
    assert one.give_back() == ""
    assert two.ask() == ""


def test_groups_do_not_wait_for_each_other(server: Server) -> None:
    assert server.client("1").ask() == ""
    assert server.client("2", group="masters").ask() == ""


def test_a_group_that_the_server_does_not_know_is_named(server: Server) -> None:
    assert server.client("1", group="nobody").ask() == 'the FleetLock server answers 400: unknown group "nobody"'


def test_leave_is_given_back_again_without_harm(server: Server) -> None:
    server.client("1").ask()
    assert server.client("2").give_back() == ""
    assert server.client("2").ask() != ""


def test_a_server_that_is_away_gives_no_leave() -> None:
    away = FleetLock(f"http://127.0.0.1:{free_port()}", "workers", "1", SystemPost(Route({})))
    assert away.ask() == "the FleetLock server cannot be asked: refused"


def test_a_server_with_an_authority_of_the_users_own_is_asked(secure: Server, pki: Pki) -> None:
    asked = over_tls(secure, ca=pki.certificate(CLUSTER))
    assert asked.ask() == ""
    assert secure.holders == {"workers": "1"}
    assert asked.give_back() == ""
    assert secure.holders == {}


@pytest.mark.parametrize("name", [ETCD, ""])
def test_a_server_of_another_authority_gives_no_leave(secure: Server, pki: Pki, name: str) -> None:
    against = over_tls(secure, ca=pki.certificate(name) if name else None).ask()
    assert against.startswith("the FleetLock server cannot be asked: the certificate is not trusted (")
    assert secure.holders == {}


def test_a_server_is_asked_by_way_of_a_proxy_which_sees_nothing_of_it(secure: Server, pki: Pki) -> None:
    with tunnelling() as proxy:
        assert over_tls(secure, ca=pki.certificate(CLUSTER), proxy=proxy.url).ask() == ""
    assert proxy.asked == [f"127.0.0.1:{secure.port}"]
    assert secure.holders == {"workers": "1"}


def test_a_proxy_that_is_away_is_told_from_a_server_that_is(secure: Server, pki: Pki) -> None:
    away = f"http://node:secret@127.0.0.1:{free_port()}"
    against = over_tls(secure, ca=pki.certificate(CLUSTER), proxy=away).ask()
    assert against == "the FleetLock server cannot be asked: refused (at the proxy)"
