"""A delta that was cut off goes on where it stopped, and nothing that is there already is believed.

The repository is a real one, with signatures; what comes from it is counted in bytes.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.model.errors import PeerError
from bedplate.node.room import LEFT_ON_DISK
from bedplate.node.update.fetching import BrokeOff, Downloads, NotAsSigned, NotKept, remove_downloads
from bedplate.release.trust.layout import target_file
from bedplate.release.trust.repository import Repository
from bedplate.testing.clock import START
from bedplate.testing.http import PIECE_BYTES, FakeHttp, Lie, altered, away, broken_off, endless, honest, truncated
from bedplate.testing.releases import MIRROR, OLDER
from bedplate.testing.simulator import RepositorySimulator
from bedplate.testing.two_slots import PowerCut
from bedplate.wire.release import PartName, Payload

SIGNED = random.Random(5).randbytes(15_000)
SIMULATOR = RepositorySimulator()
USR, UKI = SIMULATOR.publish(OLDER, usr=SIGNED).payloads
SIMULATOR.show()
HALF = len(SIGNED) // 2
OTHER = "https://other.example"


class Node:
    """A node that fetches into a folder."""

    def __init__(self, folder: Path, *mirrors: str) -> None:
        self.http = FakeHttp(lambda url: SIMULATOR.files.get(url.split("/", 3)[3]))
        repository = Repository(SIMULATOR.roots[0], folder / "tuf", mirrors or [MIRROR], self.http, lambda: START)
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.room = 1 << 40
        self.downloads = Downloads(folder, repository, lambda: self.room)

    def takes(self, payload: Payload = USR) -> bytes:
        return self.downloads.whole(payload).read_bytes()

    def lies(self, lie: Lie) -> None:
        """What the first mirror does from now on."""
        self.http.lies[f"{MIRROR}/{target_file(USR.path, USR.sha256)}"] = lie

    def lies_once(self, lie: Lie) -> None:
        """Only the first answer is a lie."""

        def first(url: str, data: bytes) -> Iterator[bytes]:
            self.http.lies.clear()
            return lie(url, data)

        self.lies(first)

    def tells_the_truth(self) -> None:
        self.http.lies.clear()

    def has(self, content: bytes) -> None:
        self.file.write_bytes(content)

    @property
    def file(self) -> Path:
        return self.folder / f"usr.{USR.sha256}.delta"

    def left(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.folder.iterdir() if file.is_file()}

    def asked(self) -> list[int]:
        """The bytes from which on the payload was asked for."""
        return [start for url, start in self.http.asked if url.endswith(f"{USR.sha256}.usr.zst")]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_what_comes_is_what_was_signed(node: Node) -> None:
    assert node.takes() == SIGNED
    assert node.asked() == [0]


def test_what_is_there_whole_is_not_asked_for(node: Node) -> None:
    node.has(SIGNED)
    assert node.takes() == SIGNED
    assert node.asked() == []


@pytest.mark.parametrize("there", [1, PIECE_BYTES, HALF, len(SIGNED) - 1])
def test_only_what_is_missing_is_asked_for(node: Node, there: int) -> None:
    node.has(SIGNED[:there])
    assert node.takes() == SIGNED
    assert node.asked() == [there]


def test_a_download_that_breaks_off_says_how_far_it_came_and_goes_on_from_there(node: Node) -> None:
    node.lies(broken_off)
    with pytest.raises(BrokeOff, match=f"broke off.*\n.*\n{HALF} of {len(SIGNED)} bytes"):
        node.takes()
    assert node.left() == {node.file.name: SIGNED[:HALF]}
    node.tells_the_truth()
    assert node.takes() == SIGNED
    assert node.asked() == [0, HALF]


def test_a_download_that_brings_nothing_new_is_no_reason_to_wait_for_more(node: Node) -> None:
    node.lies(broken_off)
    for wait in (True, False):
        with pytest.raises(PeerError) as caught:
            node.takes()
        assert isinstance(caught.value, BrokeOff) == wait
    assert node.left() == {node.file.name: SIGNED[:HALF]}


def test_a_mirror_that_is_away_takes_nothing_of_what_is_there(node: Node) -> None:
    node.has(SIGNED[:HALF])
    node.lies(away)
    with pytest.raises(PeerError, match="cannot be reached"):
        node.takes()
    assert node.left() == {node.file.name: SIGNED[:HALF]}


def test_another_mirror_goes_on_where_the_first_one_stopped(tmp_path: Path) -> None:
    node = Node(tmp_path, MIRROR, OTHER)
    node.lies(broken_off)
    node.has(SIGNED[:100])
    assert node.takes() == SIGNED
    assert node.asked() == [100, HALF]


@pytest.mark.parametrize(
    "stale",
    [bytes(HALF), bytes(len(SIGNED)), SIGNED + b"more", SIGNED[:-1] + b"x", b"x" + SIGNED[1:HALF], bytes(1 << 20)],
    ids=["zeros", "all zeros", "longer", "other end", "other beginning", "much longer"],
)
def test_what_is_wrong_is_thrown_away_and_fetched_anew_and_the_mirror_is_not_blamed(node: Node, stale: bytes) -> None:
    node.has(stale)
    assert node.takes() == SIGNED
    assert node.asked()[-1] == 0
    assert node.left() == {node.file.name: SIGNED}


def test_a_mirror_that_alters_it_is_asked_once_more_and_then_refused(node: Node) -> None:
    node.lies(altered)
    with pytest.raises(NotAsSigned, match="digest differs"):
        node.takes()
    assert node.asked() == [0, 0]
    assert node.left() == {}


def test_one_bad_mirror_does_not_keep_another_from_bringing_it(tmp_path: Path) -> None:
    node = Node(tmp_path, MIRROR, OTHER)
    node.lies(altered)
    assert node.takes() == SIGNED


def test_what_was_wrong_and_is_cut_off_then_is_not_waited_for(node: Node) -> None:
    """Else a mirror that does both in turn would keep a node from what comes in full."""
    node.has(bytes(len(SIGNED)))
    node.lies(broken_off)
    with pytest.raises(PeerError, match="broke off") as caught:
        node.takes()
    assert not isinstance(caught.value, BrokeOff)


def test_a_mirror_that_sends_half_as_if_it_were_all_is_waited_for_once(node: Node) -> None:
    node.lies(truncated)
    with pytest.raises(BrokeOff, match="ended too early"):
        node.takes()


def test_a_mirror_that_never_ends_fills_no_disk(node: Node) -> None:
    node.lies(endless)
    assert node.takes() == SIGNED
    assert node.left() == {node.file.name: SIGNED}


def test_what_else_was_wanted_of_that_part_is_removed_and_of_the_other_it_stays(node: Node) -> None:
    """By agents of other versions too, which kept it under other names."""
    others = {f"usr.{'a' * 64}.delta", "uki.b.delta", "memory.json"}
    for name in others:
        (node.folder / name).write_bytes(b"other")
    node.takes()
    assert node.left().keys() == {node.file.name, "uki.b.delta", "memory.json"}


def test_nothing_is_left_once_it_is_done(node: Node) -> None:
    for name in ("delta", "memory.json"):
        (node.folder / name).write_bytes(b"of an agent before")
    node.takes(USR)
    node.takes(UKI)
    remove_downloads(node.folder)
    assert node.left().keys() == {"memory.json"}


def test_a_full_disk_is_told_and_gets_its_room_back(node: Node) -> None:
    node.file.symlink_to("/dev/full")
    with pytest.raises(NotKept, match=f"has no room for {USR.path}"):
        node.takes()
    assert not node.file.is_symlink()


def test_nothing_is_fetched_that_would_leave_pods_too_little_room(node: Node) -> None:
    node.has(SIGNED[:100])
    node.room = LEFT_ON_DISK + len(SIGNED) - 101
    with pytest.raises(NotKept, match=f"{len(SIGNED) - 100} bytes are to come"):
        node.takes()
    assert node.left() == {}
    assert node.asked() == []


def test_what_is_there_whole_needs_no_more_room(node: Node) -> None:
    node.has(SIGNED)
    node.room = 0
    assert node.takes() == SIGNED


def test_what_cannot_be_written_to_the_disk_is_not_kept_and_not_waited_for(node: Node) -> None:
    node.file.symlink_to(node.folder / "nowhere" / "file")
    with pytest.raises(NotKept, match="No such file"):
        node.takes()
    assert not node.file.is_symlink()


def test_with_the_power_cut_at_any_piece_nothing_comes_twice(tmp_path: Path) -> None:
    for pieces in range(len(SIGNED) // PIECE_BYTES):
        node = Node(tmp_path / str(pieces))

        def cut(url: str, data: bytes, pieces: int = pieces) -> Iterator[bytes]:
            for number, piece in enumerate(honest(url, data)):
                if number == pieces:
                    raise PowerCut
                yield piece

        node.lies(cut)
        with suppress(PowerCut):
            node.takes()
        node.tells_the_truth()
        assert node.takes() == SIGNED
        assert node.asked() == [0, pieces * PIECE_BYTES]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(SIGNED)), st.binary(max_size=4 * PIECE_BYTES), st.sampled_from([honest, broken_off, altered]))
def test_whatever_a_crash_left_it_ends_with_what_was_signed(right: int, wrong: bytes, lie: Lie) -> None:
    """A part that is right, and behind it what the disk happened to hold; then a first answer of any kind."""
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder))
        node.has(SIGNED[:right] + wrong)
        node.lies_once(lie)
        with suppress(BrokeOff, PeerError):
            node.takes()
        assert all(len(content) <= len(SIGNED) for content in node.left().values())
        node.tells_the_truth()
        assert node.takes() == SIGNED
        assert node.left() == {node.file.name: SIGNED}


def test_each_part_has_a_file_of_its_own(node: Node) -> None:
    node.takes(USR)
    node.takes(UKI)
    assert [name.partition(".")[0] for name in sorted(node.left())] == [PartName.UKI, PartName.USR]
