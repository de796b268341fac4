"""Parts made apart: right or not used, with the reason; nothing is left over, and no attempt is made twice in vain."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bedplate.host.run import Completed
from bedplate.model.digests import sha256
from bedplate.model.errors import MachineError, PeerError
from bedplate.model.reading import InMemory
from bedplate.node.repack.ask import LEAST_FREE, NotRepacked, Repacker
from bedplate.node.repack.job import BESIDE, MADE, MOST_BYTES
from bedplate.node.repack.make import make
from bedplate.node.room import LEFT_ON_DISK
from bedplate.release.payload.delta.find import Edit
from bedplate.release.payload.delta.format import Segment
from bedplate.release.payload.delta.script import Script
from bedplate.release.payload.make import Base, make_uki_delta
from bedplate.release.payload.parts import describe_part
from bedplate.testing.clock import FakeClock
from bedplate.testing.packed_uki import archive, uki
from bedplate.testing.repack import FakeUnit
from bedplate.testing.runner import FakeRunner
from bedplate.wire.release import Part

OLDER = "Bedplate-1.37-amd64-202611.20.0"
KERNEL = random.Random(1).randbytes(200_000)
PATCHED = KERNEL[:90_000] + b"patched" + KERNEL[90_007:]
OLD = uki(KERNEL, archive(init=b"one"), b"usrhash=old")
NEW = uki(PATCHED, archive(init=b"two"), b"usrhash=new")
USR = b"no erofs" * 100


@cache
def delta(*, kernel: bool) -> tuple[bytes, Part]:
    """The delta from OLD to NEW and what it makes; with `kernel` that is packed again, which takes a second."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in (("old", OLD), ("new", NEW), ("usr", USR)):
            (folder / file).write_bytes(content)
        base, target = Base(OLDER, folder / "old"), folder / "delta"
        make_uki_delta(base, folder / "new", folder / "usr", target, path="", kernel=kernel)
        return target.read_bytes(), describe_part(folder / "new")


class Desk:
    """An agent's part of a node, with a delta at hand."""

    def __init__(self, folder: Path, *, kernel: bool = False) -> None:
        self.folder, self.delta, self.begun = folder / "repack", folder / "delta", folder / "begun"
        content, self.part = delta(kernel=kernel)
        self.delta.write_bytes(content)
        self.digest = sha256(content)
        self.unit, self.clock, self.free = FakeUnit(self.folder), FakeClock(), [4 << 30]
        self.runner = FakeRunner(self.unit.act)
        self.disk_free = 1 << 30

    @property
    def repacker(self) -> Repacker:
        return Repacker(self.folder, self.begun, self.runner, self.clock, self._free, lambda: self.disk_free)

    def make(self, *, base: bytes = OLD, beside: bytes = USR) -> bytes:
        self.repacker.lay_out(self.part, self.delta, InMemory(base), InMemory(beside))
        with self.repacker.made(self.part) as made:
            return made.read_bytes()

    def left(self) -> list[str]:
        return [each.name for each in self.folder.iterdir()]

    def _free(self) -> int:
        return self.free.pop(0) if len(self.free) > 1 else self.free[0]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_what_is_made_apart_is_the_part_and_nothing_is_left(desk: Desk) -> None:
    assert desk.make() == NEW
    assert desk.left() == []
    assert not desk.begun.exists()


def test_the_unit_is_waited_for(desk: Desk) -> None:
    desk.unit.looks = 10
    assert desk.make() == NEW
    assert desk.clock.monotonic() == 20


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ("oom-kill", "it ran out of memory"),
        ("timeout", "it took too long"),
        ("signal", "it was killed"),
        ("exit-code", "it failed"),
        ("resources", "it ended with resources"),
    ],
)
def test_a_process_that_does_not_end_well_is_told_of_and_not_started_again(desk: Desk, result: str, words: str) -> None:
    desk.unit.work, desk.unit.result = lambda _: None, result
    with pytest.raises(NotRepacked, match=words):
        desk.make()
    assert desk.left() == []
    assert desk.repacker.begun_before() == desk.digest
    assert desk.unit.asked[-2:] == ["stop", "reset-failed"]


def test_a_process_is_ended_before_memory_is_short(desk: Desk) -> None:
    desk.unit.looks, desk.free = 100, [4 << 30, 1 << 30, LEAST_FREE - 1]
    with pytest.raises(NotRepacked, match="Only 255 MiB of memory were left"):
        desk.make()
    assert desk.unit.asked[-2:] == ["stop", "reset-failed"]
    assert desk.left() == []


def test_a_unit_that_never_ends_is_ended(desk: Desk) -> None:
    desk.unit.looks = 10**9
    with pytest.raises(NotRepacked, match="does not come to an end"):
        desk.make()
    assert desk.left() == []


def spoil(folder: Path) -> None:
    make(folder)
    whole = (folder / MADE).read_bytes()
    (folder / MADE).write_bytes(whole[:-1] + b"?")


def cut_short(folder: Path) -> None:
    make(folder)
    (folder / MADE).write_bytes((folder / MADE).read_bytes()[:-1])


def make_a_folder(folder: Path) -> None:
    (folder / MADE / "deep").mkdir(parents=True)


@pytest.mark.parametrize("work", [spoil, cut_short, make_a_folder, lambda _: None])
def test_what_is_not_the_part_is_not_used_whatever_the_process_says(desk: Desk, work: Callable[[Path], None]) -> None:
    desk.unit.work = work
    with pytest.raises(NotRepacked, match="is not the part that the release describes"):
        desk.make()
    assert desk.left() == []


def test_a_base_that_the_delta_was_not_made_against_gives_nothing(desk: Desk) -> None:
    with pytest.raises(NotRepacked, match="it failed"):
        desk.make(base=bytes(len(OLD)))


def test_a_delta_that_unpacks_to_more_than_allowed_is_refused_before_anything_is_copied(desk: Desk) -> None:
    script = Script()
    script.edit(Edit(None, b"x"))
    with desk.delta.open("wb") as sink:
        script.write(sink, base=[Segment(len(OLD))], part=[Segment(1, MOST_BYTES + 1, level=22)])
    with pytest.raises(PeerError, match="does not make the part"):
        desk.make()
    assert desk.unit.asked == []
    assert desk.left() == []


def test_a_usr_that_is_smaller_than_the_delta_says_is_refused(desk: Desk) -> None:
    with pytest.raises(PeerError, match="does not make the part"):
        desk.make(beside=USR[:-1])


def test_of_usr_only_what_the_delta_refers_to_is_copied(desk: Desk) -> None:
    script, usr = Script(), random.Random(2).randbytes(50_000)
    script.copy(10, 20)
    script.copy(len(OLD) + 1000, 500)
    script.edit(Edit(None, b"new"))
    script.copy(len(OLD) - 5, 10)
    script.edit(Edit(len(OLD) + 40_000, b"\1" * 100))
    with desk.delta.open("wb") as sink:
        script.write(sink, base=[Segment(len(OLD))], part=[Segment(633)], beside=len(usr))
    desk.repacker.lay_out(desk.part, desk.delta, InMemory(OLD), InMemory(usr))
    there = bytearray(len(usr))
    for begin, end in ((0, 5), (1000, 1500), (40_000, 40_100)):
        there[begin:end] = usr[begin:end]
    assert (desk.folder / BESIDE).read_bytes() == bytes(there)


def test_an_attempt_leaves_pods_their_room(desk: Desk) -> None:
    script = Script()
    script.copy(len(OLD) + 1000, 500)
    script.copy(len(OLD) - 5, 10)
    with desk.delta.open("wb") as sink:
        script.write(sink, base=[Segment(len(OLD))], part=[Segment(510)], beside=2000)
    usr = bytes(2000)
    taken = desk.delta.stat().st_size + len(OLD) + 500 + 5 + desk.part.size
    desk.disk_free = LEFT_ON_DISK + taken
    desk.repacker.lay_out(desk.part, desk.delta, InMemory(OLD), InMemory(usr))
    desk.repacker.clear()
    desk.disk_free -= 1
    with pytest.raises(NotRepacked, match="could not be made apart") as caught:
        desk.repacker.lay_out(desk.part, desk.delta, InMemory(OLD), InMemory(usr))
    assert caught.value.details.startswith(f"{taken} bytes are to come, ")
    assert desk.left() == []


def test_what_the_process_unpacks_counts_as_well(tmp_path: Path) -> None:
    desk = Desk(tmp_path, kernel=True)
    desk.disk_free = LEFT_ON_DISK + desk.delta.stat().st_size + len(OLD) + len(USR) + desk.part.size
    with pytest.raises(NotRepacked) as caught:
        desk.repacker.lay_out(desk.part, desk.delta, InMemory(OLD), InMemory(USR))
    assert "have to stay free" in caught.value.details


def test_a_full_disk_means_that_nothing_is_made_and_gives_the_room_back(desk: Desk) -> None:
    class Full:
        size = len(OLD)

        def read_at(self, offset: int, size: int) -> bytes:
            raise OSError(errno.ENOSPC, "No space left on device", f"{offset} {size}")

    with pytest.raises(NotRepacked, match="could not be made apart") as caught:
        desk.repacker.lay_out(desk.part, desk.delta, Full(), InMemory(USR))
    assert "There is no space left" in caught.value.details
    assert desk.left() == []


def test_what_a_killed_agent_left_is_ended_and_removed(desk: Desk) -> None:
    desk.repacker.lay_out(desk.part, desk.delta, InMemory(OLD), InMemory(USR))
    (desk.folder / MADE).write_bytes(b"half")
    desk.unit.asked.clear()
    desk.repacker.clear()
    assert desk.unit.asked == ["stop", "reset-failed"]
    assert desk.left() == []


def test_where_nothing_is_left_nobody_is_asked(desk: Desk) -> None:
    desk.repacker.clear()
    desk.folder.mkdir()
    desk.repacker.clear()
    assert desk.unit.asked == []


def test_an_agent_that_is_killed_meanwhile_has_noted_what_it_began(desk: Desk) -> None:
    class Killed(BaseException):
        pass

    def kill(argv: tuple[str, ...]) -> Completed:
        if argv[1] == "start":
            raise Killed
        return desk.unit.act(argv)

    desk.runner = FakeRunner(kill)
    with pytest.raises(Killed):
        desk.make()
    assert desk.repacker.begun_before() == desk.digest


def test_a_machine_that_lacks_something_only_means_that_nothing_is_made(desk: Desk) -> None:
    def lacks(argv: tuple[str, ...]) -> Completed:
        if argv[1] == "start":
            raise MachineError("systemctl is not there.")
        return desk.unit.act(argv)

    desk.runner = FakeRunner(lacks)
    with pytest.raises(NotRepacked) as caught:
        desk.make()
    assert caught.value.details == "systemctl is not there."


def test_the_process_refuses_what_does_not_describe_a_part(desk: Desk) -> None:
    desk.repacker.lay_out(desk.part, desk.delta, InMemory(OLD), InMemory(USR))
    (desk.folder / "part.json").write_bytes(b"{}")
    with pytest.raises(PeerError, match="part document cannot be used"):
        make(desk.folder)


def test_a_kernel_is_packed_again_and_the_old_one_leaves_no_file(tmp_path: Path) -> None:
    desk = Desk(tmp_path, kernel=True)
    desk.repacker.lay_out(desk.part, desk.delta, InMemory(OLD), InMemory(USR))
    before = set(desk.left())
    make(desk.folder)
    assert set(desk.left()) == before | {MADE}
    assert (desk.folder / MADE).read_bytes() == NEW
