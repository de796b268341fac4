"""The UKI of a new kernel comes on the cheapest way that works, and what was not taken is told with its reason."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from bedplate.model.errors import MachineError, PeerError
from bedplate.node.repack.ask import Repacker
from bedplate.node.room import LEFT_ON_DISK
from bedplate.node.slots.slots import Slots
from bedplate.node.update.fetching import BrokeOff
from bedplate.node.update.gauge import Gauge
from bedplate.node.update.taking import Taker
from bedplate.release.payload.make import Base, make_uki_delta
from bedplate.testing.clock import FakeClock
from bedplate.testing.disks import FakeDisks
from bedplate.testing.repack import FakeUnit
from bedplate.testing.runner import FakeRunner
from bedplate.testing.served import FakeReleases, packed_payload
from bedplate.testing.slots import Boot, boot, make_disk, make_disks, make_version
from bedplate.wire.release import PartName, Payload

KERNEL = random.Random(6).randbytes(20_000)
OLD = make_version(0, kernel=KERNEL)
NEW = make_version(1, kernel=KERNEL[:9000] + b"patched" + KERNEL[9007:])
PLENTY, LITTLE = 4 << 30, 1 << 30
"""Memory that is free."""
SMALL, LARGE = f"uki.from-{OLD.name}.repack.delta", f"uki.from-{OLD.name}.delta"


@cache
def delta(name: str) -> tuple[Payload, bytes]:
    """The delta from what runs; SMALL is the one whose kernel is packed again."""
    with TemporaryDirectory() as folder:
        old, new, usr, target = (Path(folder) / file for file in ("old", "new", "usr", "delta"))
        for path, content in ((old, OLD.uki), (new, NEW.uki), (usr, NEW.usr)):
            path.write_bytes(content)
        whole = f"releases/{NEW.name}/{name}"
        made = make_uki_delta(Base(OLD.name, old), new, usr, target, path=whole, kernel=name == SMALL)
        return made, target.read_bytes()


def publish() -> FakeReleases:
    """Both deltas, and the full payload."""
    (full,) = (each for each in NEW.release.payloads if each.part is PartName.UKI)
    payloads = [packed_payload(full, NEW.uki), delta(SMALL), delta(LARGE)]
    release = msgspec.structs.replace(NEW.release, payloads=(NEW.release.payloads[0], *(each for each, _ in payloads)))
    return FakeReleases({NEW.name: release}, {each.path: content for each, content in payloads})


class Node:
    """A node whose other slot is complete, and lacks its UKI."""

    def __init__(self, folder: Path, *, free: int = PLENTY) -> None:
        self.folder, self.free, self.said, self.clock = folder, free, list[str](), FakeClock()
        self.disk_free = PLENTY
        self.unit, self.releases = FakeUnit(folder / "repack"), publish()
        self.start(make_disks(make_disk({"usr-a": OLD}, {f"{OLD.name}.efi": OLD.uki})))
        self.slots.write_usr(NEW.release.usr, [NEW.usr])
        self.slots.seal(NEW.release)
        self.slots.identify(NEW.release)

    def start(self, disks: FakeDisks) -> None:
        self.disks, self.slots = disks, Slots(disks, root_hash=OLD.root_hash)
        runner = FakeRunner(self.unit.act)
        self.repacker = Repacker(
            self.folder / "repack", self.folder / "begun", runner, self.clock, lambda: self.free, lambda: self.disk_free
        )

    def take(self) -> str:
        """How the UKI came; the machine would boot the new version then."""
        taker = Taker(
            self.slots,
            self.releases,
            OLD.name,
            self.folder,
            self.repacker,
            lambda: self.free,
            self.said.append,
            Gauge(self.clock, self.said.append),
            lambda: self.disk_free,
        )
        told = taker.take_uki(self.releases.releases[NEW.name])
        assert boot(bytes(self.disks.medium.data), [OLD, NEW]) == Boot(NEW.name)
        return told

    def left(self) -> list[str]:
        return [each.name for each in (self.folder / "repack").iterdir()]

    def downloads(self) -> list[Path]:
        return list(self.folder.glob("*delta"))


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def came_as(name: str) -> str:
    return f"delta payload of {delta(name)[0].size} bytes"


def test_with_memory_to_spare_the_kernel_is_packed_again_apart(node: Node) -> None:
    assert node.take() == f"{came_as(SMALL)}, made apart"
    assert node.releases.fetched == delta(SMALL)[0].size
    assert node.left() == []
    assert node.downloads() == []


def test_with_less_the_kernel_is_fetched_whole_and_it_is_told_why(node: Node) -> None:
    node.free = LITTLE
    told = node.take()
    assert told.startswith(f"{SMALL} is passed over: it takes ")
    assert told.endswith(f"512 MiB have to stay free, and 1024 MiB are; {came_as(LARGE)}")
    assert node.said[0] == f"{told.partition(';')[0]}."
    assert node.unit.asked == []


def test_where_the_disk_has_room_for_a_delta_alone_it_is_not_made_apart(node: Node) -> None:
    node.disk_free = LEFT_ON_DISK + delta(LARGE)[0].size
    told = node.take()
    assert f"{SMALL} did not apply: A part could not be made apart." in told
    assert told.endswith(came_as(LARGE))
    assert node.unit.asked == []
    assert node.left() == []


@pytest.mark.parametrize("result", ["oom-kill", "signal", "exit-code", "timeout"])
def test_a_process_apart_that_is_killed_costs_a_larger_delta_and_nothing_else(node: Node, result: str) -> None:
    node.unit.work, node.unit.result = lambda _: None, result
    told = node.take()
    assert f"{SMALL} did not apply: bedplate-repack.service did not make the part: it " in told
    assert told.endswith(came_as(LARGE))
    assert node.left() == []


def test_what_it_makes_counts_only_when_it_is_right(node: Node) -> None:
    node.unit.work = lambda folder: (folder / "made").write_bytes(bytes(len(NEW.uki)))
    told = node.take()
    assert f"{SMALL} did not apply: What bedplate-repack.service made is not the part" in told
    assert told.endswith(came_as(LARGE))


def test_memory_that_becomes_short_meanwhile_ends_it(node: Node) -> None:
    node.unit.looks = 100

    def shrink(_: Path) -> None:
        node.free = 200 << 20

    node.unit.work = shrink
    assert "Only 200 MiB of memory were left" in node.take()


def test_what_neither_delta_makes_comes_in_full(node: Node) -> None:
    for path in [each for each in node.releases.files if each.endswith(".delta")]:
        node.releases.files[path] = bytes(len(node.releases.files[path]))
    told = node.take()
    assert [part.split(" did not")[0].rpartition("/")[2] for part in told.split("; ")[:2]] == [SMALL, LARGE]
    assert "full payload" in told


def test_an_attempt_that_took_the_machine_down_is_not_made_again(node: Node) -> None:
    class Down(BaseException):
        pass

    def bring_down(_: Path) -> None:
        raise Down

    node.unit.work = bring_down
    with pytest.raises(Down):
        node.take()
    node.start(make_disks(bytes(node.disks.medium.data)))
    told = node.take()
    assert told.startswith(f"{SMALL} is passed over: it was tried before and came to nothing; ")
    assert told.endswith(came_as(LARGE))


def test_a_mirror_that_is_away_does_not_use_up_the_attempt(node: Node) -> None:
    node.releases.away = True
    with pytest.raises(PeerError, match="No mirror"):
        node.take()
    node.releases.away = False
    assert node.take() == f"{came_as(SMALL)}, made apart"


def test_a_disk_that_fails_later_does_not_use_up_the_attempt(node: Node) -> None:
    esp = node.slots.layout().esp
    node.disks.medium.failing = {range(esp.start, esp.start + esp.size)}
    with pytest.raises(MachineError):
        node.take()
    node.disks.medium.failing = set()
    assert node.take() == f"{came_as(SMALL)}, made apart"


@pytest.mark.parametrize(("free", "name"), [(PLENTY, SMALL), (LITTLE, LARGE)])
def test_a_delta_of_a_uki_goes_on_where_it_was_cut_off(node: Node, free: int, name: str) -> None:
    node.free, node.releases.breaks_after = free, 300
    with pytest.raises(BrokeOff, match=f"300 of {delta(name)[0].size} bytes"):
        node.take()
    assert node.unit.asked == []
    node.releases.breaks_after = None
    assert came_as(name) in node.take()
    assert node.releases.fetched == delta(name)[0].size
    assert node.downloads() == []


def test_a_second_delta_that_is_cut_off_is_not_waited_for(node: Node) -> None:
    """The first one would take its place again, and so neither would ever be whole."""
    for name, content in ((SMALL, bytes(delta(SMALL)[0].size)), (LARGE, delta(LARGE)[1][:2000])):
        node.releases.files[delta(name)[0].path] = content
    told = node.take()
    assert f"{LARGE} did not apply" in told
    assert "full payload" in told
    assert node.downloads() == []
