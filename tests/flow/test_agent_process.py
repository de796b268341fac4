"""The agent as a process on a node in a folder, against a server of static files: killed in every state, and twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bedplate.host.clock import SystemClock
from bedplate.host.locks import alone
from bedplate.host.serve import serving
from bedplate.node.settings import DEFAULTS
from bedplate.node.update.main import LOCK
from bedplate.node.update.record import FOLDER
from bedplate.node.update.states import State
from bedplate.testing.foundry import Foundry
from bedplate.testing.node_folder import REBOOTING, FolderNode, When
from bedplate.testing.slots import Boot, boot, make_version

OLD, NEW = make_version(0), make_version(1)
STATES = [
    State.CLEARING,
    State.WRITING,
    State.SEALING,
    State.INSTALLING,
    State.STAGED,
    State.REBOOTING,
    State.TRYING,
    State.GOOD,
]


@pytest.fixture
def foundry(tmp_path: Path) -> Foundry:
    made = Foundry(tmp_path / "foundry", SystemClock().now() - timedelta(hours=1))
    made.publish(OLD)
    return made


@pytest.fixture
def node(tmp_path: Path, foundry: Foundry) -> Iterator[FolderNode]:
    with serving(foundry.store.folder) as port:
        settings = f'[source]\nchannel = "stable"\nmirrors = ["http://127.0.0.1:{port}"]\n'
        made = FolderNode.install(tmp_path / "node", OLD, NEW, settings=settings, root=foundry.root)
        made.boot()
        yield made


def test_a_node_becomes_the_version_of_its_channel(node: FolderNode, foundry: Foundry) -> None:
    node.go_on()
    assert node.status.doing == f"{OLD.name} runs"
    foundry.publish(NEW, bases=(OLD,))
    node.go_on()
    assert (node.status.version, node.memory.state) == (NEW.name, State.GOOD)
    assert boot(node.disk, (OLD, NEW)) == Boot(NEW.name)


@pytest.mark.parametrize("when", When)
def test_an_agent_that_is_killed_in_every_state_goes_on_there(node: FolderNode, foundry: Foundry, when: When) -> None:
    node.go_on()
    foundry.publish(NEW)
    seen: list[State] = []
    for _ in range(20):
        ended = node.run(when)
        assert ended.killed, ended.said
        assert boot(node.disk, (OLD, NEW)).problem == ""
        seen.append(node.memory.state)
        if (node.folder / REBOOTING).exists():
            assert node.boot() is NEW
        if node.memory.state is State.GOOD:
            break
    assert seen == STATES
    assert boot(node.disk, (OLD, NEW)) == Boot(NEW.name)


def test_a_second_agent_ends_at_once_and_touches_nothing(node: FolderNode, foundry: Foundry) -> None:
    foundry.publish(NEW)
    before = node.disk
    with alone(node.root / LOCK, doing="updating this node"):
        ended = node.run()
    assert ended.done.code == 2
    assert "(updating this node) is in the way." in ended.said
    assert node.disk == before
    assert not (node.root / FOLDER / "status.json").exists()


def test_a_key_that_the_running_version_does_not_know_is_told_and_stops_nothing(
    node: FolderNode, foundry: Foundry
) -> None:
    node.write(DEFAULTS, (node.root / DEFAULTS).read_bytes() + b"later = true\n")
    assert "The setting source.later is not known to this version" in node.run().said
    foundry.publish(NEW)
    node.go_on()
    assert node.status.version == NEW.name
