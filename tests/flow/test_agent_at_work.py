"""The agent as it is wired on a node, with releases from a server or from a bundle that was carried to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Queue

import msgspec
import pytest

from bedplate.host.media import SystemMedia
from bedplate.host.run import Completed
from bedplate.host.serve import serving
from bedplate.local.kubeconfig import bootstrap_kubeconfig
from bedplate.model.network import Answer, Reach
from bedplate.node.repack.job import FOLDER as REPACK
from bedplate.node.settings import read_settings
from bedplate.node.update.agent import LOOK_SECONDS, Agent
from bedplate.node.update.main import World, make_agent, run_agent
from bedplate.node.update.record import FOLDER
from bedplate.node.update.states import State
from bedplate.testing.clock import START, FakeClock
from bedplate.testing.fat import make_volume
from bedplate.testing.foundry import Foundry
from bedplate.testing.machine import FakeMachine
from bedplate.testing.network import FakePeers
from bedplate.testing.node_folder import DISK, FileDisks, FolderNode
from bedplate.testing.runner import FakeRunner, completed
from bedplate.testing.slots import Version, make_version
from bedplate.testing.stick import flip_byte
from bedplate.wire.desired import STATUS, Status
from bedplate.wire.release import PartName

HALF = 20_000
RATE = 50_000
"""Bytes a second that a node may take from its mirrors."""
OLD = make_version(0)
VERSIONS = [OLD]
for number in range(1, 7):
    before = VERSIONS[-1].usr
    VERSIONS.append(make_version(number, usr=before[:HALF] + bytes([number]) * 9 + before[HALF + 9 :]))
NEXT, NEWEST = VERSIONS[1], VERSIONS[-1]


class Node:
    """A node at work: its files, its clock, and an agent that starts anew with each boot."""

    def __init__(self, folder: Path, settings: str, root: bytes) -> None:
        self.files = FolderNode.install(folder, *VERSIONS, settings=settings, root=root)
        self.clock, self.peers, self.said = FakeClock(), FakePeers(), list[str]()
        self.agent: Agent | None = None
        self.reboots = False
        self.failing = set[tuple[str, ...]]()
        """The first two words of commands that fail."""
        self.files.boot()

    def go_on(self, rounds: int = 60) -> None:
        """Rounds, with the boots that come of them, until the agent rests."""
        for _ in range(rounds):
            self.agent = self.agent or self._start()
            seconds = self.agent.round()
            self.agent.rest(seconds)
            if self.reboots:
                self.agent, self.reboots = None, False
                self.files.boot()
            elif seconds:
                return
        raise AssertionError(self.said[-5:])

    @property
    def status(self) -> Status:
        return self.files.status

    def later(self, **units: float) -> None:
        self.clock.sleep(timedelta(**units).total_seconds())

    def carry(self, bundle: Path) -> None:
        self.files.write("var/lib/bedplate/bundle.zip", bundle.read_bytes())

    def plug_in(self, volume: bytes) -> None:
        self.files.write("dev/disk/by-label/BEDPLATE", volume)

    def pull_out(self) -> None:
        (self.files.root / "dev/disk/by-label/BEDPLATE").unlink()

    @property
    def world(self) -> World:
        root = self.files.root
        disks, runner = FileDisks(self.files.folder / DISK), FakeRunner(self._act)
        return World(
            "n1", disks, self.peers, runner, FakeMachine(), self.clock, self.said.append, SystemMedia(root), root
        )

    @property
    def trust(self) -> bytes:
        return (self.files.root / "usr/share/bedplate/root.json").read_bytes()

    def _start(self) -> Agent:
        settings = read_settings(self.files.root, None)
        agent = make_agent(self.world, settings, trust=self.trust, credentials=None)
        agent.start()
        return agent

    def _act(self, argv: tuple[str, ...]) -> Completed:
        self.reboots = self.reboots or argv == ("systemctl", "reboot")
        return completed(argv, code=int(argv[:2] in self.failing))


@pytest.fixture
def foundry(tmp_path: Path) -> Foundry:
    made = Foundry(tmp_path / "foundry", START)
    made.publish(OLD)
    return made


@pytest.fixture
def offline(tmp_path: Path, foundry: Foundry) -> Node:
    return Node(tmp_path / "offline", '[source]\nchannel = "stable"\n', foundry.root)


@pytest.fixture
def online(tmp_path: Path, foundry: Foundry) -> Iterator[Node]:
    with serving(foundry.store.folder) as port:
        settings = f'[source]\nchannel = "stable"\nmirrors = ["http://127.0.0.1:{port}"]\nrate = {RATE}\n'
        yield Node(tmp_path / "online", settings, foundry.root)


def bundle_of(foundry: Foundry, *versions: Version, days: int = 90) -> Path:
    file = foundry.folder / "bundle.zip"
    foundry.bundle(file, *versions, days=days)
    return file


def stick_with(**files: bytes) -> bytes:
    return make_volume(1 << 19, {name.replace("_", "."): content for name, content in files.items()})


def test_a_node_without_a_network_takes_a_bundle_from_its_disk(offline: Node, foundry: Foundry) -> None:
    offline.go_on()
    assert offline.status.doing.startswith("No mirror is named, and no bundle is there.")
    foundry.publish(NEXT)
    offline.carry(bundle_of(foundry, NEXT))
    offline.go_on()
    assert (offline.status.version, offline.files.memory.state) == (NEXT.name, State.GOOD)


def test_a_stick_that_is_plugged_in_is_taken_at_once_and_never_mounted(offline: Node, foundry: Foundry) -> None:
    offline.go_on()
    foundry.publish(NEXT)
    offline.plug_in(stick_with(BUNDLE_ZIP=bundle_of(foundry, NEXT).read_bytes(), photo_jpg=b"x" * 3000))
    offline.go_on()
    assert (offline.status.version, offline.files.memory.state) == (NEXT.name, State.GOOD)
    assert not any("mount" in line for line in offline.said)


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        (b"no file system" * 1000, "LABEL=BEDPLATE cannot be read. it has no boot sector"),
        (stick_with(photo_jpg=b"x"), "There is no bundle.zip at LABEL=BEDPLATE."),
        (stick_with(bundle_zip=b"PK not a zip"), "LABEL=BEDPLATE is not a bundle that can be read."),
    ],
    ids=["no file system", "no bundle", "no archive"],
)
def test_a_stick_with_something_else_is_told_and_changes_nothing(offline: Node, volume: bytes, words: str) -> None:
    offline.plug_in(volume)
    offline.go_on()
    assert offline.status.doing.startswith(words)
    assert offline.status.version == OLD.name


def test_a_stick_that_is_pulled_out_half_way_is_waited_for(offline: Node, foundry: Foundry) -> None:
    offline.go_on()
    foundry.publish(NEXT)
    stick = stick_with(bundle_zip=bundle_of(foundry, NEXT).read_bytes())
    offline.plug_in(stick)
    assert offline.agent is not None
    while offline.files.memory.state is not State.WRITING:
        offline.agent.round()
    offline.pull_out()
    offline.go_on()
    assert offline.files.memory.state is State.WRITING
    assert offline.status.doing.startswith("No mirror is named, and no bundle is there.")
    offline.plug_in(stick)
    offline.go_on()
    assert offline.status.version == NEXT.name


def test_a_sound_stick_is_taken_soon_however_often_the_one_before_failed(offline: Node, foundry: Foundry) -> None:
    offline.go_on()
    foundry.publish(NEXT)
    sound = bundle_of(foundry, NEXT)
    altered = foundry.folder / "altered.zip"
    altered.write_bytes(sound.read_bytes())
    flip_byte(altered, "usr.zst")
    offline.plug_in(stick_with(bundle_zip=altered.read_bytes()))
    for _ in range(10):
        offline.go_on()
    assert "Bad CRC-32" in offline.status.doing
    offline.pull_out()
    assert offline.agent is not None
    seconds = offline.agent.round()
    before = offline.clock.monotonic()
    offline.plug_in(stick_with(bundle_zip=sound.read_bytes()))
    offline.agent.rest(seconds)
    assert offline.clock.monotonic() - before <= LOOK_SECONDS < seconds
    offline.go_on()
    assert offline.status.version == NEXT.name


def test_a_bundle_holds_as_long_as_was_chosen(offline: Node, foundry: Foundry) -> None:
    foundry.publish(NEXT)
    offline.carry(bundle_of(foundry, NEXT, days=10))
    offline.later(days=11)
    offline.go_on()
    assert "stands still" in offline.status.doing
    assert offline.status.version == OLD.name


def test_a_node_whose_clock_is_not_right_says_what_stands_in(offline: Node, foundry: Foundry) -> None:
    foundry.publish(NEXT)
    offline.carry(bundle_of(foundry, NEXT))
    offline.clock.set(datetime(1970, 1, 1, tzinfo=UTC))
    offline.go_on()
    assert offline.status.version == NEXT.name
    assert offline.status.clock.startswith("The clock says 1970-01-01")
    assert "stands in" in offline.status.clock


def test_a_new_node_with_a_wrong_clock_goes_by_the_day_of_its_image(offline: Node, foundry: Foundry) -> None:
    offline.clock.set(datetime(1970, 1, 1, tzinfo=UTC))
    offline.carry(bundle_of(foundry, OLD))
    offline.go_on()
    assert "the time when the image was made stands in" in offline.status.clock


def test_mirrors_go_before_a_bundle_and_it_helps_out_while_none_answers(online: Node, foundry: Foundry) -> None:
    online.go_on()
    foundry.publish(NEXT)
    bundle = bundle_of(foundry, NEXT)
    foundry.publish(VERSIONS[2])
    online.carry(bundle)
    online.go_on()
    assert online.status.version == VERSIONS[2].name
    hidden = foundry.store.folder.rename(foundry.folder / "away")
    online.later(hours=2)
    online.go_on()
    assert "rollback" in online.status.doing
    hidden.rename(foundry.store.folder)


def test_while_no_mirror_answers_a_newer_bundle_is_taken(online: Node, foundry: Foundry) -> None:
    online.go_on()
    foundry.publish(NEXT)
    online.carry(bundle_of(foundry, NEXT))
    foundry.store.folder.rename(foundry.folder / "away")
    online.go_on()
    assert online.status.version == NEXT.name


def test_what_mirrors_tell_of_and_do_not_give_is_taken_from_a_bundle(online: Node, foundry: Foundry) -> None:
    online.go_on()
    foundry.publish(NEXT)
    online.carry(bundle_of(foundry, NEXT))
    for file in foundry.store.folder.rglob("*.zst"):
        file.unlink()
    online.later(days=1)
    online.go_on()
    assert "is not there" in online.status.doing
    online.go_on()
    assert (online.status.version, online.files.memory.state) == (NEXT.name, State.GOOD)


def test_one_damaged_file_on_one_mirror_does_not_hold_a_node_up(tmp_path: Path, foundry: Foundry) -> None:
    foundry.publish(NEXT)
    damaged = Path(shutil.copytree(foundry.store.folder, tmp_path / "damaged"))
    (payload,) = (file for file in damaged.rglob("*.usr.zst") if NEXT.name in str(file))
    payload.write_bytes(bytes(8) + payload.read_bytes()[8:])
    with serving(damaged) as first, serving(foundry.store.folder) as second:
        mirrors = [f"http://127.0.0.1:{port}" for port in (first, second)]
        node = Node(tmp_path / "node", f'[source]\nchannel = "stable"\nmirrors = {mirrors}\n', foundry.root)
        node.go_on()
        assert "does not make the part" in node.status.doing
        node.go_on()
    assert (node.status.version, node.files.memory.state) == (NEXT.name, State.GOOD)


def test_the_oldest_release_goes_straight_to_the_newest(online: Node, foundry: Foundry) -> None:
    """Deltas are made against the last four, so the oldest one takes the payload in full."""
    online.go_on()
    for number, version in enumerate(VERSIONS[1:], start=1):
        foundry.publish(version, bases=tuple(VERSIONS[max(0, number - 4) : number]))
    online.later(days=1)
    online.go_on()
    assert (online.status.version, online.files.boots) == (NEWEST.name, 2)
    assert any("full payload" in line.reason for line in online.files.memory.history)


def test_the_last_release_that_deltas_are_made_against_takes_one(online: Node, foundry: Foundry) -> None:
    foundry.publish(NEXT, bases=(OLD,))
    online.go_on()
    assert online.status.version == NEXT.name
    assert any(line.reason.startswith("/usr is in the other slot: delta") for line in online.files.memory.history)


def test_a_delta_that_a_mirror_has_by_half_is_gone_on_with_once_it_has_all(tmp_path: Path, foundry: Foundry) -> None:
    told = Queue[str]()
    foundry.publish(NEXT, bases=(OLD,))
    (file,) = foundry.store.folder.rglob("*.delta")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with serving(foundry.store.folder, log=told.put) as port:
        settings = f'[source]\nchannel = "stable"\nmirrors = ["http://127.0.0.1:{port}"]\n'
        node = Node(tmp_path / "node", settings, foundry.root)
        node.go_on()
        assert "ended too early" in node.status.doing
        file.write_bytes(whole)
        node.go_on()
    assert node.status.version == NEXT.name
    answers = [line.rpartition('"')[2].split() for line in told.queue if ".delta" in line]
    assert answers == [["200", str(len(whole) // 2)], ["206", str(len(whole) - len(whole) // 2)]]


def test_a_release_that_needs_another_one_before_is_not_taken(online: Node, foundry: Foundry) -> None:
    foundry.publish(VERSIONS[2], minimum=NEXT.name)
    online.go_on()
    assert online.status.doing == f"{VERSIONS[2].name} can be reached from {NEXT.name} on, and this is {OLD.name}"


def test_a_node_that_was_off_for_more_than_a_year_catches_up_with_no_hand(online: Node, foundry: Foundry) -> None:
    online.go_on()
    for role in ("root", "root", "timestamp", "targets", "snapshot"):
        foundry.now += timedelta(days=90)
        foundry.exchange_key(role)
    foundry.publish(NEWEST)
    online.agent = None
    online.clock.set(foundry.now + timedelta(hours=1))
    online.files.boot()
    online.go_on()
    assert (online.status.version, online.files.memory.state) == (NEWEST.name, State.GOOD)


def test_a_withdrawn_version_is_not_taken_and_its_reason_is_told(online: Node, foundry: Foundry) -> None:
    foundry.publish(NEXT)
    foundry.withdraw(NEXT, "it eats disks")
    online.go_on()
    assert online.status.doing == f"{NEXT.name} was withdrawn. it eats disks"


def test_what_cannot_be_written_to_the_disk_is_told_to_the_api_server(online: Node) -> None:
    server = "https://10.75.0.1:6443"
    config = bootstrap_kubeconfig(cluster="c", server=server, authority=b"", token="a.b")
    online.files.write("etc/kubernetes/bootstrap-kubelet.conf", config)
    node = msgspec.json.encode({"metadata": {"name": "n1", "annotations": {}}, "status": {}})
    online.peers.answers[f"{server}/api/v1/nodes/n1"] = Answer(Reach.ANSWERED, 200, node)
    folder = online.files.root / FOLDER
    online.go_on()
    (folder / "status.json").unlink()
    (folder / "status.json").mkdir()
    online.peers.sent.clear()
    online.files.damage_esp()
    online.go_on()
    (told,) = [body for method, _, body in online.peers.sent if method == "PATCH"]
    annotations = msgspec.json.decode(told)["metadata"]["annotations"]
    status = msgspec.json.decode(annotations[STATUS], type=Status)
    assert status.doing.startswith("The ESP is damaged")
    assert any("The status cannot be written" in line for line in online.said)


class Enough(BaseException):
    pass


class Ending(FakeClock):
    """A clock that ends whoever waits."""

    def sleep(self, seconds: float) -> None:
        if seconds:
            raise Enough


def test_an_agent_that_cannot_end_what_one_before_it_began_is_heard_all_the_same(offline: Node) -> None:
    left = offline.files.root / REPACK / "made"
    offline.files.write(f"{REPACK}/made", b"half")
    offline.failing.add(("systemctl", "stop"))
    offline.clock = Ending()
    settings = read_settings(offline.files.root, None)
    with pytest.raises(Enough):
        run_agent(offline.world, settings, trust=offline.trust, credentials=None)
    assert offline.said[0].startswith("What was begun to be made apart is still there. systemctl failed with code 1.")
    assert offline.status.doing.startswith("No mirror is named")
    assert left.exists()


def test_a_look_at_the_repository_comes_after_the_interval_and_some_more_by_lot(online: Node) -> None:
    online.go_on()
    assert online.agent is not None
    drawn = {online.agent.check_seconds() for _ in range(50)}
    assert min(drawn) >= 3600
    assert max(drawn) <= 4200
    assert len(drawn) > 40


def test_no_more_bytes_a_second_are_taken_than_may_be(online: Node, foundry: Foundry) -> None:
    online.go_on()
    foundry.publish(NEXT)
    online.later(days=1)
    assert online.agent is not None
    before = online.clock.monotonic()
    while online.files.memory.state is not State.SEALING:
        assert online.agent.round() == 0
    size = sum(payload.size for payload in NEXT.release.payloads if payload.part is PartName.USR)
    assert online.clock.monotonic() - before >= size / RATE


def test_a_full_esp_is_told_and_the_update_goes_on_once_there_is_room(online: Node, foundry: Foundry) -> None:
    online.go_on()
    online.files.fill_esp()
    foundry.publish(NEXT)
    online.later(days=1)
    online.go_on()
    assert (online.status.version, online.files.memory.state) == (OLD.name, State.INSTALLING)
    assert online.status.doing == "The ESP cannot be written. [Errno 28] No space left on device"
    online.files.empty_esp()
    online.go_on()
    assert (online.status.version, online.files.memory.state) == (NEXT.name, State.GOOD)
