"""The agent with the real slots on a disk in memory: what it writes is what the loader boots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from bedplate.host.run import Completed
from bedplate.node.health.verdict import Verdict
from bedplate.node.repack.ask import Repacker
from bedplate.node.slots.slots import Slots
from bedplate.node.update.agent import Agent
from bedplate.node.update.carry import Hands
from bedplate.node.update.gauge import Gauge
from bedplate.node.update.offers import offer_for
from bedplate.node.update.plan import Facts
from bedplate.node.update.record import Record
from bedplate.node.update.states import State
from bedplate.node.update.taking import Taker
from bedplate.release.payload.make import Base, make_usr_delta
from bedplate.testing.clock import FakeClock
from bedplate.testing.disks import FakeDisks
from bedplate.testing.node import FakeReleases, FixedWish, packed_payload
from bedplate.testing.runner import FakeRunner, completed
from bedplate.testing.slots import Boot, Version, boot, make_disk, make_disks, make_version
from bedplate.wire.desired import Wish
from bedplate.wire.release import PartName

OLD = make_version(0)
NEW = make_version(1, usr=OLD.usr[:20_000] + b"changed" + OLD.usr[20_007:])


class Node:
    """One boot of a node: the version that runs, its disk, and the folder that outlives it."""

    def __init__(
        self, running: Version, disks: FakeDisks, folder: Path, boot_id: str, releases: FakeReleases | None = None
    ) -> None:
        self.slots, self.version, self.boot_id = Slots(disks, root_hash=running.root_hash), running.name, boot_id
        self.clock, self.rebooting = FakeClock(), False
        releases, record, said = releases or publish(NEW), Record(folder), list[str]().append
        runner = FakeRunner(self._reboot)
        repacker = Repacker(folder / "repack", folder / "begun", runner, self.clock, lambda: 1 << 30)
        gauge = Gauge(self.clock, said)
        taker = Taker(self.slots, releases, running.name, folder, repacker, lambda: 1 << 30, said, gauge)
        self.agent = Agent(
            gather=self._gather,
            wishes=(FixedWish(Wish(version=NEW.name)),),
            offer=lambda wish: offer_for(wish, releases, channel="", running=running.name),
            hands=Hands(self.slots, taker, (), runner, folder, record.write, said),
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
    assert not (tmp_path / "delta").exists()


def test_a_delta_that_does_not_apply_is_followed_by_the_full_payload(tmp_path: Path) -> None:
    disks, releases = installed(), with_delta(publish(NEW), tmp_path)
    path = next(name for name in releases.files if name.endswith(".delta"))
    releases.files[path] = bytes(len(releases.files[path]))
    node = Node(OLD, disks, tmp_path, "1", releases)
    list(node.rounds())
    assert boot(bytes(disks.medium.data), [OLD, NEW]) == Boot(NEW.name)
    assert any("did not apply" in line.reason for line in node.agent.memory.history)
