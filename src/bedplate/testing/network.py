"""A machine's network and the servers in it, made of plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bedplate.model.network import Answer, Caller, Gateway, Link, Reach


@dataclass
class FakeLinks:
    """Implements `bedplate.host.links.Links`: one card with an address and a gateway, until a test changes one."""

    cards: tuple[Link, ...] = (Link("enp0s2", carrier=True, addresses=("10.75.0.11/24",)),)
    route: Gateway | None = Gateway("10.75.0.1", "enp0s2")  # noqa: RUF009  # frozen, so all may share it

    def links(self) -> tuple[Link, ...]:
        return self.cards

    def gateway(self) -> Gateway | None:
        return self.route


@dataclass
class FakePeers:
    """Implements `bedplate.host.peers.Peers`. `answers` go by URL without query; whatever is not in it refuses."""

    name_servers: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, Caller]] = field(default_factory=list)
    sent: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Requests with a body: method, URL, body."""
    open_ports: set[tuple[str, int]] = field(default_factory=set)
    http2_sockets: set[Path] = field(default_factory=set)

    def answers_names(self, server: str) -> bool:
        return server in self.name_servers

    def resolves(self, name: str) -> bool:
        return name in self.names

    def get(self, url: str, caller: Caller) -> Answer:
        self.asked.append((url, caller))
        return self.answers.get(urlsplit(url)._replace(query="").geturl(), Answer(Reach.REFUSED))

    def send(self, method: str, url: str, caller: Caller, body: bytes, *, headers: Mapping[str, str]) -> Answer:
        del headers
        self.sent.append((method, url, body))
        return self.get(url, caller)

    def connects(self, host: str, port: int) -> bool:
        return (host, port) in self.open_ports

    def speaks_http2(self, path: Path) -> bool:
        return path in self.http2_sockets
