"""What a node tells of itself fits where it is put, however much peers had to say."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bedplate.local.kubeconfig import bootstrap_kubeconfig
from bedplate.model.network import Answer, Reach
from bedplate.node.apiserver import OwnNode
from bedplate.node.update.facts import Facts
from bedplate.node.update.memory import Failure, Happening, Memory, note, remember_failure
from bedplate.node.update.record import MOST_BYTES
from bedplate.node.update.states import State
from bedplate.node.update.status import Publisher, status_of
from bedplate.testing.clock import START
from bedplate.testing.network import FakePeers
from bedplate.wire.desired import Status, Wish

VERSION = "Bedplate-1.37-amd64-202611.24.0"
FACTS = Facts(VERSION, "a" * 64, "boot 1", START, ())
ANNOTATIONS_BYTES = 256 << 10
"""Of an object in all (k8s.io/apimachinery, TotalAnnotationSizeLimitB)."""
TEXTS = ["not healthy: kubelet: /healthz: 500 " + "x" * 100_000, "🪨" * 100_000, "\x1b[2J\0" * 50_000, '"\\' * 50_000]
SERVER = "https://10.75.0.1:6443"


def failure(number: int, text: str) -> Failure:
    return Failure(version=VERSION, root_hash=f"{number:064}", reason=text, at=START, last_lines=(text,) * 30)


def told(memory: Memory, text: str) -> Status:
    return status_of(memory, FACTS, Wish(), text, busy=False, clock="")


@pytest.mark.parametrize("text", TEXTS, ids=["long", "wide", "control", "quotes"])
def test_whatever_peers_say_the_status_fits_into_an_annotation_and_the_memory_into_its_file(text: str) -> None:
    memory = Memory()
    for number in range(120):
        memory = remember_failure(note(memory, at=START, version=VERSION, reason=text), failure(number, text))
    assert len(msgspec.json.encode(memory)) < MOST_BYTES
    status = told(memory, text)
    assert len(msgspec.json.encode(status)) < ANNOTATIONS_BYTES * 3 // 4
    assert status.doing.isprintable()
    assert (len(status.history), len(status.failures), len(status.failures[0].last_lines)) == (30, 5, 20)


def test_what_was_kept_before_without_being_cut_is_cut_as_it_is_told() -> None:
    line = Happening(at=START, state=State.IDLE, version=VERSION, reason=TEXTS[0])
    status = told(Memory(history=(line,) * 100, failures=(failure(1, TEXTS[0]),) * 50), "")
    assert len(msgspec.json.encode(status)) < ANNOTATIONS_BYTES // 4
    assert status.history[0].reason.startswith("not healthy: kubelet: /healthz: 500 xxx")
    assert status.history[0].reason.endswith("x…")


def test_why_the_api_server_does_not_take_a_status_is_told_once(tmp_path: Path) -> None:
    config = tmp_path / "etc/kubernetes/bootstrap-kubelet.conf"
    config.parent.mkdir(parents=True)
    config.write_bytes(bootstrap_kubeconfig(cluster="c", server=SERVER, authority=b"", token="a.b"))
    peers, said = FakePeers(), list[str]()
    publisher = Publisher(OwnNode("n1", peers, tmp_path), tmp_path, said.append)

    def publish(answer: Answer, doing: str) -> None:
        peers.answers[f"{SERVER}/api/v1/nodes/n1"] = answer
        publisher.publish(Status(version=VERSION, state="Idle", since=None, doing=doing))

    publish(Answer(Reach.SILENT), "one")
    assert said == []
    refused = Answer(Reach.ANSWERED, 422, b'{"message":"annotations: Too long"}')
    publish(refused, "one")
    publish(refused, "two")
    assert said == ['The API server does not take the status: 422 {"message":"annotations: Too long"}']
    publish(Answer(Reach.ANSWERED, 200, b"{}"), "two")
    publish(refused, "three")
    assert len(said) == 2


def test_settings_that_are_passed_over_are_told() -> None:
    keys = ("source.mirors", "x" * 1000, *(f"later.{number}" for number in range(100)))
    status = status_of(Memory(), FACTS, Wish(), "", busy=False, clock="", unknown=keys)
    assert status.unknown_settings[0] == "source.mirors"
    assert len(msgspec.json.encode(status.unknown_settings)) < 1000
