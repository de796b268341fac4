"""Where a node takes releases from: what was signed is known by its digest, so its bytes may come from anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import BinaryIO

import pytest

from bedplate.model.errors import PeerError
from bedplate.node.update.sources import Bundle, Sources
from bedplate.release.payload.apply import rebuild_full
from bedplate.release.trust.repository import Repository
from bedplate.testing.clock import START
from bedplate.testing.http import FakeHttp, away
from bedplate.testing.releases import MIRROR, OLDER
from bedplate.testing.simulator import RepositorySimulator

USR = b"usr" * 5000
PAYLOAD = ".usr.zst"


def rotten(_: str, data: bytes) -> Iterator[bytes]:
    yield data[:8] + bytes(8) + data[16:]


class Places:
    """Implements `bedplate.host.media.Media`, of which the bundles here need only whether something is there."""

    def __init__(self) -> None:
        self.empty: set[str] = set()

    def stamp(self, place: str) -> str:
        return "" if place in self.empty else place

    def open(self, place: str) -> AbstractContextManager[BinaryIO]:
        raise PeerError(place)


class Node:
    """A node with mirrors and two places for bundles. `shown` is what each of the three has, by its name."""

    def __init__(self, folder: Path) -> None:
        self.simulator = RepositorySimulator()
        self.release = self.simulator.publish(OLDER, packed=True)
        self.simulator.show()
        self.https = {name: FakeHttp(self._pages(name)) for name in ("mirrors", "disk", "stick")}
        self.shown = {name: dict(self.simulator.files) for name in self.https}
        self.places = Places()
        mirrors, disk, stick = (
            Repository(self.simulator.roots[0], folder, [MIRROR], http, lambda: START) for http in self.https.values()
        )
        self.sources = Sources(mirrors, [Bundle("disk", disk), Bundle("stick", stick)], self.places)

    def _pages(self, name: str) -> Callable[[str], bytes | None]:
        return lambda url: self.shown[name].get(url.split("/", 3)[3])

    def takes(self, attempts: int = 1) -> bytes:
        """The payload as an agent takes it: what goes wrong is tried again."""
        payload = self.release.payloads[0]
        for _ in range(attempts - 1):
            with suppress(PeerError):
                return b"".join(rebuild_full(self.sources.fetch(payload), payload, self.release.usr))
        return b"".join(rebuild_full(self.sources.fetch(payload), payload, self.release.usr))

    def sent(self) -> list[str]:
        """Who was asked for the payload."""
        return [name for name, http in self.https.items() if any(url.endswith(PAYLOAD) for url, _ in http.asked)]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_mirrors_go_before_bundles(node: Node) -> None:
    node.sources.refresh()
    assert node.takes() == USR
    assert node.sent() == ["mirrors"]


def test_what_mirrors_do_not_give_comes_from_a_bundle_that_is_older_than_what_they_told(node: Node) -> None:
    node.simulator.renew()
    node.shown["mirrors"] = {path: data for path, data in node.simulator.files.items() if not path.endswith(PAYLOAD)}
    node.sources.refresh()
    assert node.takes(attempts=2) == USR
    assert node.sent() == ["mirrors", "disk"]


def test_what_its_reader_refuses_comes_from_the_next_one(node: Node) -> None:
    node.https["mirrors"].lies = {PAYLOAD: rotten}
    node.sources.refresh()
    assert node.takes(attempts=2) == USR
    assert node.sent() == ["mirrors", "disk"]


def test_each_gets_its_turn_and_then_the_first_again(node: Node) -> None:
    for http in node.https.values():
        http.lies = {PAYLOAD: away}
    node.sources.refresh()
    with pytest.raises(PeerError, match="cannot be reached"):
        node.takes(attempts=3)
    assert node.sent() == ["mirrors", "disk", "stick"]
    node.https["mirrors"].lies = {}
    assert node.takes() == USR


def test_a_new_look_begins_with_the_mirrors(node: Node) -> None:
    node.https["mirrors"].lies = {PAYLOAD: away}
    node.sources.refresh()
    with pytest.raises(PeerError):
        node.takes()
    node.https["mirrors"].lies = {}
    node.sources.refresh()
    assert node.takes() == USR
    assert node.sent() == ["mirrors"]


def test_a_place_where_nothing_is_is_passed_over(node: Node) -> None:
    node.https["mirrors"].lies = {PAYLOAD: away}
    node.places.empty.add("disk")
    node.sources.refresh()
    assert node.takes(attempts=2) == USR
    assert node.sent() == ["mirrors", "stick"]
