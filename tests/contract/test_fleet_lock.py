"""The FleetLock protocol over real HTTP, against a server of the protocol's own rules."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bedplate.host.peers import SystemPeers
from bedplate.node.update.leave import FleetLock
from bedplate.testing.home import free_port


@dataclass
class Server:
    """One slot for each group, as airlock has it: whoever holds it may ask again, others may not."""

    holders: dict[str, str] = field(default_factory=dict)
    port: int = 0

    def lock(self, group: str, identity: str) -> bool:
        return self.holders.setdefault(group, identity) == identity

    def unlock(self, group: str, identity: str) -> None:
        if self.holders.get(group) == identity:
            del self.holders[group]

    def client(self, identity: str, group: str = "workers") -> FleetLock:
        return FleetLock(f"http://127.0.0.1:{self.port}/", group, identity, SystemPeers())


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            group, identity = body["client_params"]["group"], body["client_params"]["id"]
            if self.headers.get("fleet-lock-protocol") != "true":
                self._answer(400, "no_header", "the header is missing")
            elif self.path == "/v1/pre-reboot":
                if state.lock(group, identity):
                    self._answer(200)
                else:
                    self._answer(409, "locked", f"slot of {group} is taken")
            elif self.path == "/v1/steady-state":
                state.unlock(group, identity)
                self._answer(200)
            else:
                self._answer(404)

        def _answer(self, code: int, kind: str = "", value: str = "") -> None:
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps({"kind": kind, "value": value}).encode() if kind else b"")

        def log_message(self, *arguments: object) -> None:
            del arguments

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        state.port = listening.server_address[1]
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield state
        listening.shutdown()
        thread.join()


def test_leave_is_given_to_one_and_given_back(server: Server) -> None:
    one, two = server.client("1"), server.client("2")
    assert one.ask() == ""
    assert one.ask() == ""
    assert two.ask() == "the FleetLock server answers 409: slot of workers is taken"
    assert one.give_back() == ""
    assert two.ask() == ""


def test_groups_do_not_wait_for_each_other(server: Server) -> None:
    assert server.client("1").ask() == ""
    assert server.client("2", group="masters").ask() == ""


def test_leave_is_given_back_again_without_harm(server: Server) -> None:
    server.client("1").ask()
    assert server.client("2").give_back() == ""
    assert server.client("2").ask() != ""


def test_a_server_that_is_away_gives_no_leave() -> None:
    away = FleetLock(f"http://127.0.0.1:{free_port()}", "workers", "1", SystemPeers())
    assert away.ask() == "the FleetLock server cannot be asked: refused"
