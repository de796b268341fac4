"""Where a node learns what it is to become: its own object first, and the last word of it while nobody answers."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bedplate.cli.node_update import annotate_arguments
from bedplate.local.kubeconfig import bootstrap_kubeconfig
from bedplate.model.network import Answer, Reach
from bedplate.node.apiserver import OwnNode
from bedplate.node.update.wishes import FileWish, NodeWish, first_wish
from bedplate.testing.network import FakePeers
from bedplate.wire.desired import Wish, annotations_of, wish_of

SERVER = "https://10.75.0.1:6443"
URL = f"{SERVER}/api/v1/nodes/n1"
VERSION = "Bedplate-1.37-amd64-202611.24.0"
AUTHORITY = b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"


@pytest.fixture
def peers() -> FakePeers:
    return FakePeers()


@pytest.fixture
def node(tmp_path: Path, peers: FakePeers) -> OwnNode:
    config = tmp_path / "etc/kubernetes/bootstrap-kubelet.conf"
    config.parent.mkdir(parents=True)
    config.write_bytes(bootstrap_kubeconfig(cluster="c", server=SERVER, authority=AUTHORITY, token="a.b"))
    return OwnNode("n1", peers, tmp_path)


def says(peers: FakePeers, annotations: dict[str, str]) -> None:
    body = msgspec.json.encode({"metadata": {"name": "n1", "annotations": annotations}, "status": {}})
    peers.answers[URL] = Answer(Reach.ANSWERED, 200, body)


def test_what_kubectl_writes_is_what_the_node_reads() -> None:
    wish = Wish(version=VERSION, pinned=True, asked="now")
    words = annotate_arguments("n1", wish)[4:]
    written = dict(word.split("=", 1) for word in words if "=" in word)
    assert wish_of(written) == wish
    assert {word[:-1] for word in words if word.endswith("-")} == {
        k for k, v in annotations_of(wish).items() if v is None
    }


def test_an_object_without_a_wish_has_none(node: OwnNode, peers: FakePeers, tmp_path: Path) -> None:
    says(peers, {"other": "x", "bedplate.dev/update-status": "{}"})
    assert NodeWish(node, tmp_path).look() is None


def test_the_last_word_holds_while_the_api_server_is_away(node: OwnNode, peers: FakePeers, tmp_path: Path) -> None:
    pinned = Wish(pinned=True)
    says(peers, {name: value for name, value in annotations_of(pinned).items() if value})
    assert NodeWish(node, tmp_path).look() == pinned
    peers.answers.clear()
    assert NodeWish(node, tmp_path).look() == pinned
    says(peers, {})
    assert NodeWish(node, tmp_path).look() is None
    peers.answers.clear()
    assert NodeWish(node, tmp_path).look() is None


def test_a_machine_of_no_cluster_asks_nobody(tmp_path: Path, peers: FakePeers) -> None:
    assert NodeWish(OwnNode("n1", peers, tmp_path), tmp_path).look() is None
    assert peers.asked == []


def test_the_first_place_that_tells_counts(tmp_path: Path) -> None:
    own, given = FileWish(tmp_path / "desired.json"), FileWish(tmp_path / "credential")
    assert first_wish((own, given)) == Wish()
    given.path.write_text(f'{{"version": "{VERSION}"}}')
    assert first_wish((own, given)) == Wish(version=VERSION)
    own.path.write_text('{"channel": "beta"}')
    assert first_wish((own, given)) == Wish(channel="beta")


def test_a_bare_request_is_one_for_what_the_next_place_wants(tmp_path: Path) -> None:
    own, given = FileWish(tmp_path / "desired.json"), FileWish(tmp_path / "credential")
    own.path.write_text('{"asked": "now"}')
    assert first_wish((own, given)) == Wish(asked="now")
    given.path.write_text('{"channel": "beta", "asked": "at first"}')
    assert first_wish((own, given)) == Wish(channel="beta", asked="now")


@pytest.mark.parametrize("text", ["", "{", '{"versoin": "x"}', '{"pinned": "yes"}'])
def test_a_file_that_cannot_be_read_is_told_and_not_guessed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "desired.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"desired\.json"):
        FileWish(path).look()


def test_a_node_writes_to_its_own_object(node: OwnNode, peers: FakePeers) -> None:
    says(peers, {})
    assert node.annotate({"a": "b"}).status == 200
    assert peers.sent == [("PATCH", URL, b'{"metadata":{"annotations":{"a":"b"}}}')]
