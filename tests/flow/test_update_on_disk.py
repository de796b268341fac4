"""The agent with the real slots on a disk in memory: what it writes is what the loader boots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest

from bedplate.host.run import Completed
from bedplate.node.health.verdict import Verdict
from bedplate.node.repack.ask import Repacker
from bedplate.node.room import LEFT_ON_DISK
from bedplate.node.slots.slots import Slots
from bedplate.node.update.agent import Agent
from bedplate.node.update.carry import Hands
from bedplate.node.update.facts import Facts
from bedplate.node.update.gauge import Gauge
from bedplate.node.update.offers import offer_for
from bedplate.node.update.record import Record
from bedplate.node.update.states import State
from bedplate.node.update.taking import Taker
from bedplate.release.payload.make import Base, make_usr_delta
from bedplate.testing.clock import FakeClock
from bedplate.testing.disks import FakeDisks
from bedplate.testing.node import FixedWish
from bedplate.testing.runner import FakeRunner, completed
from bedplate.testing.served import FakeReleases, packed_payload
from bedplate.testing.slots import Boot, Version, boot, make_disk, make_disks, make_version, part_of
from bedplate.testing.two_slots import PowerCut
from bedplate.testing.uki import make_uki
from bedplate.wire.desired import Wish
from bedplate.wire.release import PartName, Payload

OLD = make_version(0)
NEW = make_version(1, usr=OLD.usr[:20_000] + b"changed" + OLD.usr[20_007:])


class Node:
    """One boot of a node: the version that runs, its disk, and the folder that outlives it."""

    def __init__(
        self, running: Version, disks: FakeDisks, folder: Path, boot_id: str, releases: FakeReleases | None = None
    ) -> None:
        self.slots, self.version, self.boot_id = Slots(disks, root_hash=running.root_hash), running.name, boot_id
        self.clock, self.rebooting = FakeClock(), False
        self.source = FixedWish(Wish(version=NEW.name))
        releases, record, said = releases or publish(NEW), Record(folder), list[str]().append
        runner = FakeRunner(self._reboot)
        repacker = Repacker(folder / "repack", folder / "begun", runner, self.clock, lambda: 1 << 30, lambda: 1 << 30)
        gauge = Gauge(self.clock, said)
        self.room = 1 << 30
        room = lambda: self.room  # noqa: E731
        taker = Taker(self.slots, releases, running.name, folder, repacker, lambda: 1 << 30, said, gauge, room)
        self.agent = Agent(
            gather=self._gather,
            wishes=(self.source,),
            offer=lambda wish: offer_for(wish, releases, channel="", running=running.name),
            hands=Hands(self.slots, taker, (), runner, folder, said),
            record=record,
            publish=lambda *_, **__: None,
            last_lines=lambda _: (),
            clock=self.clock,
            say=said,
            check_seconds=lambda: 3600.0,
        )
        self.agent.start()

    def rounds(self) -> Iterator[State]:
        """The state after each round, until the agent waits or reboots."""
        waits = False
        while not waits and not self.rebooting:
            waits = self.agent.round() > 0
            yield self.agent.memory.state

    def _gather(self) -> Facts:
        now, entries = self.clock.now(), self.slots.entries()
        verdict = Verdict(self.version, self.boot_id, passed=True, at=now, seconds=1.0)
        return Facts(self.version, self.slots.root_hash, self.boot_id, now, entries, verdict)

    def _reboot(self, argv: tuple[str, ...]) -> Completed:
        self.rebooting = argv == ("systemctl", "reboot")
        return completed(argv)


def publish(version: Version) -> FakeReleases:
    data = {PartName.USR: version.usr, PartName.UKI: version.uki}
    packed = [packed_payload(each, data[each.part]) for each in version.release.payloads]
    release = msgspec.structs.replace(version.release, payloads=tuple(payload for payload, _ in packed))
    return FakeReleases({version.name: release}, {payload.path: content for payload, content in packed})


def with_delta(releases: FakeReleases, folder: Path) -> FakeReleases:
    """A delta beside the full payload, from what runs."""
    old, new, target = (folder / name for name in ("old", "new", "delta.made"))
    old.write_bytes(OLD.usr)
    new.write_bytes(NEW.usr)
    path = f"releases/{NEW.name}/usr.from-{OLD.name}.delta"
    delta = make_usr_delta(Base(OLD.name, old), new, target, path=path)
    release = releases.releases[NEW.name]
    releases.releases[NEW.name] = msgspec.structs.replace(release, payloads=(*release.payloads, delta))
    releases.files[path] = target.read_bytes()
    return releases


def delta_of(releases: FakeReleases) -> Payload:
    return releases.releases[NEW.name].payloads[-1]


def downloads(folder: Path) -> list[Path]:
    return list(folder.glob("*delta"))


def installed() -> FakeDisks:
    return make_disks(make_disk({"usr-a": OLD}, {f"{OLD.name}.efi": OLD.uki}))


def test_the_disk_boots_the_new_version_when_the_agent_reboots_and_the_old_one_until_then(tmp_path: Path) -> None:
    disks = installed()
    node = Node(OLD, disks, tmp_path, "1")
    seen = []
    for state in node.rounds():
        armed = state in (State.STAGED, State.REBOOTING)
        assert boot(bytes(disks.medium.data), [OLD, NEW]) == Boot(NEW.name if armed else OLD.name)
        seen.append(state)
    assert seen[-1] is State.REBOOTING


def test_the_new_version_is_blessed_on_the_disk_and_the_old_one_stays(tmp_path: Path) -> None:
    disks = installed()
    list(Node(OLD, disks, tmp_path, "1").rounds())
    after = make_disks(bytes(disks.medium.data), running="usr-b")
    node = Node(NEW, after, tmp_path, "2")
    assert list(node.rounds())[-1] is State.GOOD
    assert [(each.version, each.left) for each in node.slots.entries()] == [(NEW.name, None), (OLD.name, None)]


def test_an_agent_that_starts_anew_before_every_round_comes_to_the_same_end(tmp_path: Path) -> None:
    disks = installed()
    for _ in range(20):
        node = Node(OLD, disks, tmp_path, "1")
        next(node.rounds())
        if node.rebooting:
            break
    assert boot(bytes(disks.medium.data), [OLD, NEW]) == Boot(NEW.name)


def test_a_delta_from_what_runs_is_taken_instead_of_the_full_payload(tmp_path: Path) -> None:
    disks, releases = installed(), with_delta(publish(NEW), tmp_path)
    list(Node(OLD, disks, tmp_path, "1", releases).rounds())
    assert boot(bytes(disks.medium.data), [OLD, NEW]) == Boot(NEW.name)
    assert releases.fetched < len(NEW.usr) / 4
    assert downloads(tmp_path) == []


def test_a_delta_that_does_not_apply_is_followed_by_the_full_payload(tmp_path: Path) -> None:
    disks, releases = installed(), with_delta(publish(NEW), tmp_path)
    path = next(name for name in releases.files if name.endswith(".delta"))
    releases.files[path] = bytes(len(releases.files[path]))
    node = Node(OLD, disks, tmp_path, "1", releases)
    list(node.rounds())
    assert boot(bytes(disks.medium.data), [OLD, NEW]) == Boot(NEW.name)
    assert any("did not apply" in line.reason for line in node.agent.memory.history)


def test_a_delta_that_is_cut_off_goes_on_in_the_next_attempt(tmp_path: Path) -> None:
    disks, releases = installed(), with_delta(publish(NEW), tmp_path)
    releases.breaks_after = 100
    node = Node(OLD, disks, tmp_path, "1", releases)
    assert list(node.rounds())[-1] is State.WRITING
    (told,) = [line.reason for line in node.agent.memory.history if "broke off" in line.reason]
    assert f"100 of {delta_of(releases).size} bytes" in told
    releases.breaks_after = None
    uki = next(each.size for each in releases.releases[NEW.name].payloads if each.part is PartName.UKI)
    list(node.rounds())
    assert boot(bytes(disks.medium.data), [OLD, NEW]) == Boot(NEW.name)
    assert releases.fetched == delta_of(releases).size + uki
    assert downloads(tmp_path) == []


def test_a_mirror_that_never_gets_on_with_a_delta_costs_the_full_payload_and_no_more(tmp_path: Path) -> None:
    disks, releases = installed(), with_delta(publish(NEW), tmp_path)
    path = delta_of(releases).path
    releases.files[path] = releases.files[path][:100]
    node = Node(OLD, disks, tmp_path, "1", releases)
    assert list(node.rounds())[-1] is State.WRITING
    list(node.rounds())
    assert boot(bytes(disks.medium.data), [OLD, NEW]) == Boot(NEW.name)
    assert any("did not apply" in line.reason for line in node.agent.memory.history)
    assert downloads(tmp_path) == []


@dataclass
class PoweredReleases(FakeReleases):
    """The power goes when so many bytes of a delta have come."""

    power: int = 0

    def fetch(self, payload: Payload, *, start: int = 0) -> Iterator[bytes]:
        sent = b"".join(FakeReleases.fetch(self, payload, start=start))
        if self.power < 0 or not payload.path.endswith(".delta"):
            yield sent
            return
        yield sent[: self.power]
        self.fetched -= len(sent[self.power :])
        raise PowerCut


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9, 1.0])
def test_a_delta_goes_on_after_a_power_cut(tmp_path: Path, part: float) -> None:
    disks, plain = installed(), with_delta(publish(NEW), tmp_path)
    size = delta_of(plain).size
    releases = PoweredReleases(plain.releases, plain.files, power=int(part * size))
    with pytest.raises(PowerCut):
        list(Node(OLD, disks, tmp_path, "1", releases).rounds())
    assert releases.fetched == int(part * size)
    releases.power = -1
    after = make_disks(bytes(disks.medium.data))
    states = []
    for state in Node(OLD, after, tmp_path, "2", releases).rounds():
        if state is State.SEALING and State.SEALING not in states:
            assert releases.fetched == size
        states.append(state)
    assert State.SEALING in states
    assert boot(bytes(after.medium.data), [OLD, NEW]) == Boot(NEW.name)
    assert downloads(tmp_path) == []


def test_without_room_for_a_delta_the_full_payload_goes_straight_to_the_slot(tmp_path: Path) -> None:
    disks, releases = installed(), with_delta(publish(NEW), tmp_path)
    (tmp_path / f"usr.{delta_of(releases).sha256}.delta").symlink_to("/dev/full")
    node = Node(OLD, disks, tmp_path, "1", releases)
    list(node.rounds())
    assert boot(bytes(disks.medium.data), [OLD, NEW]) == Boot(NEW.name)
    assert any("has no room for" in line.reason for line in node.agent.memory.history)


def test_a_delta_leaves_pods_their_room_and_gives_back_what_it_has(tmp_path: Path) -> None:
    releases = with_delta(publish(NEW), tmp_path)
    releases.breaks_after = 100
    disks = installed()
    node = Node(OLD, disks, tmp_path, "1", releases)
    list(node.rounds())
    assert len(downloads(tmp_path)) == 1
    releases.breaks_after, node.room = None, LEFT_ON_DISK
    for state in node.rounds():
        assert (state is State.WRITING) == (downloads(tmp_path) != [])
    assert boot(bytes(disks.medium.data), [OLD, NEW]) == Boot(NEW.name)
    assert any("has no room for" in line.reason for line in node.agent.memory.history)


def test_what_was_fetched_of_a_version_goes_when_another_one_is_wanted(tmp_path: Path) -> None:
    releases = with_delta(publish(NEW), tmp_path)
    releases.breaks_after = 100
    node = Node(OLD, installed(), tmp_path, "1", releases)
    list(node.rounds())
    assert len(downloads(tmp_path)) == 1
    node.source.wish = Wish(pinned=True)
    list(node.rounds())
    assert node.agent.memory.state is State.IDLE
    assert downloads(tmp_path) == []


def test_a_power_cut_between_the_last_write_and_the_tidying_leaves_nothing_behind(tmp_path: Path) -> None:
    disks, releases = installed(), publish(NEW)
    before = b""
    for state in Node(OLD, disks, tmp_path, "1", releases).rounds():
        if state is State.INSTALLING:
            before = (tmp_path / "memory.json").read_bytes()
    (tmp_path / "memory.json").write_bytes(before)
    (tmp_path / f"uki.{'0' * 64}.delta").write_bytes(b"the UKI was made of it")
    list(Node(OLD, make_disks(bytes(disks.medium.data)), tmp_path, "1", releases).rounds())
    assert downloads(tmp_path) == []


def test_a_release_with_the_uki_of_another_is_refused_for_good_and_the_node_goes_on(tmp_path: Path) -> None:
    wrong = make_uki(NEW.name, "f" * 64)
    mixed_up = msgspec.structs.replace(NEW.release, uki=part_of(wrong))
    disks, releases = installed(), publish(replace(NEW, uki=wrong, release=mixed_up))
    node = Node(OLD, disks, tmp_path, "1", releases)
    states = list(node.rounds())
    assert State.STAGED not in states
    assert states[-1] is State.IDLE
    assert boot(bytes(disks.medium.data), [OLD, NEW]) == Boot(OLD.name)
    (failure,) = node.agent.memory.failures
    assert f"Its UKI starts {'f' * 64}" in failure.reason
    assert [each.file for each in node.slots.entries()] == [f"{OLD.name}.efi"]
