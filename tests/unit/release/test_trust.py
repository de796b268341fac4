"""What a node believes of a repository: every lie is refused with an error of its own, and nothing of it is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from bedplate.model.errors import MachineError, PeerError, UserError
from bedplate.release.payload.apply import rebuild_full
from bedplate.release.trust.layout import BUNDLE, CHANNELS, MADE, TIMESTAMP_FILE, metadata_file
from bedplate.release.trust.refusals import ReleaseWithdrawn
from bedplate.release.trust.repository import Repository
from bedplate.testing.clock import START
from bedplate.testing.http import (
    FakeHttp,
    Lie,
    altered,
    away,
    broken_off,
    elsewhere,
    endless,
    slow,
    truncated,
)
from bedplate.testing.releases import MIRROR, OLDER, VERSION
from bedplate.testing.simulator import RepositorySimulator
from bedplate.wire.release import PartName

OTHER = "https://other.example"
YEAR = timedelta(days=365)


class Node:
    """A node with the first root in its image, a folder for metadata and a clock that can be set."""

    def __init__(self, folder: Path, simulator: RepositorySimulator) -> None:
        self.folder, self.simulator, self.root = folder, simulator, simulator.roots[0]
        self.http = simulator.http()
        self.now = START
        self.built = START - timedelta(days=1)

    def repository(self, *mirrors: str, http: FakeHttp | None = None) -> Repository:
        chosen = http or self.http
        return Repository(self.root, self.folder, mirrors or (MIRROR,), chosen, lambda: self.now, built=self.built)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def simulator() -> RepositorySimulator:
    return RepositorySimulator()


@pytest.fixture
def node(tmp_path: Path, simulator: RepositorySimulator) -> Node:
    return Node(tmp_path / "tuf", simulator)


def usr_of(repository: Repository, version: str = VERSION) -> bytes:
    release = repository.release(version)
    payload = next(each for each in release.payloads if each.part is PartName.USR)
    return b"".join(repository.fetch(payload))


def test_a_channel_leads_to_a_release_and_its_payload(node: Node) -> None:
    repository = node.repository()
    version = repository.channel("1.37/stable").version
    assert (version, usr_of(repository, version)) == (VERSION, b"usr" * 5000)


def test_what_is_not_there_is_the_askers_mistake(node: Node) -> None:
    repository = node.repository()
    with pytest.raises(UserError, match=r"no channel 1\.37/beta"):
        repository.channel("1.37/beta")
    with pytest.raises(UserError, match="no release Bedplate"):
        repository.release(OLDER)


def test_a_withdrawn_release_is_refused_with_its_reason(node: Node) -> None:
    node.simulator.withdraw(VERSION, "it eats disks")
    node.simulator.show()
    with pytest.raises(ReleaseWithdrawn) as caught:
        node.repository().release(VERSION)
    assert caught.value.reason == "it eats disks"


def rollback(simulator: RepositorySimulator) -> None:
    simulator.timestamp.version -= 1
    simulator.show_timestamp()


def rollback_of_the_snapshot(simulator: RepositorySimulator) -> None:
    simulator.roles[CHANNELS].version -= 1
    simulator.show()


def freeze(simulator: RepositorySimulator) -> None:
    simulator.bump("timestamp")
    simulator.timestamp.expires = START - timedelta(seconds=1)
    simulator.show_timestamp()


def mix_and_match(simulator: RepositorySimulator) -> None:
    """The channels of yesterday beside the snapshot of today."""
    before = simulator.files[metadata_file(CHANNELS, simulator.roles[CHANNELS].version)]
    simulator.point("1.37/stable", VERSION)
    simulator.show()
    simulator.files[metadata_file(CHANNELS, simulator.roles[CHANNELS].version)] = before


def unknown_key(simulator: RepositorySimulator) -> None:
    simulator.bump("timestamp")
    simulator.signers["timestamp"] = [CryptoSigner.generate_ed25519()]
    simulator.show_timestamp()


def below_threshold(simulator: RepositorySimulator) -> None:
    """A new root that gives the timestamp to the thief of one root key."""
    simulator.bump("root")
    simulator.show_root(simulator.signers["root"][:1])


def root_of_new_keys_alone(simulator: RepositorySimulator) -> None:
    thieves = [CryptoSigner.generate_ed25519() for _ in range(3)]
    simulator.bump("root")
    simulator.show_root(thieves)


def root_skips_a_version(simulator: RepositorySimulator) -> None:
    simulator.root.version += 2
    data = simulator.sign("root")
    simulator.files[metadata_file("root", simulator.root.version - 1)] = data


def a_bundle_as_if_live(simulator: RepositorySimulator) -> None:
    simulator.bump("timestamp")
    simulator.timestamp.unrecognized_fields[BUNDLE] = True
    simulator.show_timestamp()


def made_at_no_time(simulator: RepositorySimulator) -> None:
    simulator.bump("timestamp")
    simulator.timestamp.unrecognized_fields[MADE] = "tomorrow"
    simulator.files[TIMESTAMP_FILE] = simulator.sign("timestamp")


def no_timestamp(simulator: RepositorySimulator) -> None:
    del simulator.files[TIMESTAMP_FILE]


def no_metadata(simulator: RepositorySimulator) -> None:
    simulator.files[TIMESTAMP_FILE] = b"<html>Please log in</html>"


LIES: list[tuple[Callable[[RepositorySimulator], None], str]] = [
    (rollback, r"its timestamp went back \(rollback\)"),
    (rollback_of_the_snapshot, r"its snapshot went back \(rollback\)"),
    (freeze, "stands still: its timestamp has expired"),
    (mix_and_match, r"its channels is not the one that belongs to the others \(mix-and-match\)"),
    (unknown_key, "has a timestamp that no trusted key has signed"),
    (below_threshold, "has a root with too few signatures: 1 of 2"),
    (root_of_new_keys_alone, "has a root that no trusted key has signed"),
    (root_skips_a_version, r"its root went back \(rollback\)"),
    (a_bundle_as_if_live, "shows the timestamp of a bundle as its own"),
    (made_at_no_time, "has a timestamp that was refused"),
    (no_timestamp, "lacks the timestamp"),
    (no_metadata, "has a timestamp that cannot be read"),
]


@pytest.mark.parametrize(("lie", "words"), LIES, ids=lambda each: getattr(each, "__name__", ""))
def test_a_lie_of_the_metadata_is_refused_in_its_own_words(
    node: Node, lie: Callable[[RepositorySimulator], None], words: str
) -> None:
    node.repository().channel("1.37/stable")
    lie(node.simulator)
    with pytest.raises(PeerError, match=words):
        node.repository().channel("1.37/stable")


@pytest.mark.parametrize(
    "lie",
    [rollback, unknown_key, below_threshold, a_bundle_as_if_live, made_at_no_time],
    ids=lambda each: each.__name__,
)
def test_after_a_lie_the_truth_is_still_believed(node: Node, lie: Callable[[RepositorySimulator], None]) -> None:
    node.repository().refresh()
    before, shown = node.files(), dict(node.simulator.files)
    lie(node.simulator)
    with pytest.raises(PeerError):
        node.repository().refresh()
    assert node.files() == before
    node.simulator.files = shown
    assert node.repository().channel("1.37/stable").version == VERSION


SERVER_LIES: list[tuple[Lie, str]] = [
    (endless, "sends more than it may"),
    (slow, "is too slow"),
    (truncated, "ended too early"),
    (broken_off, "broke off"),
    (altered, "is not what was signed"),
    (elsewhere, "redirects to another server"),
]


@pytest.mark.parametrize(("lie", "words"), SERVER_LIES, ids=lambda each: getattr(each, "__name__", ""))
def test_a_payload_that_is_not_as_signed_is_refused_in_its_own_words(node: Node, lie: Lie, words: str) -> None:
    node.http.lies = {".usr.zst": lie}
    with pytest.raises(PeerError, match=words):
        usr_of(node.repository())


@pytest.mark.parametrize(
    ("lie", "words"), [(endless, "sends more than it may"), (slow, "is too slow"), (elsewhere, "redirects")]
)
def test_metadata_that_never_comes_to_its_end_is_refused(node: Node, lie: Lie, words: str) -> None:
    node.http.lies = {"timestamp.json": lie}
    with pytest.raises(PeerError, match=words):
        node.repository().refresh()


def test_an_endless_payload_is_cut_at_its_size(node: Node) -> None:
    node.http.lies = {".usr.zst": endless}
    repository = node.repository()
    payload = next(each for each in repository.release(VERSION).payloads if each.part is PartName.USR)
    taken: list[int] = []
    with pytest.raises(PeerError, match="sends more"):
        taken.extend(len(piece) for piece in repository.fetch(payload))
    assert sum(taken) == payload.size


def test_a_manifest_that_names_another_payload_than_was_signed_is_refused(node: Node) -> None:
    path = f"releases/{VERSION}/usr.zst"
    node.simulator.add(VERSION, path, b"something else")
    node.simulator.bump(VERSION)
    node.simulator.show()
    with pytest.raises(PeerError, match="do not agree"):
        usr_of(node.repository())


def test_a_payload_goes_on_where_it_stopped(node: Node) -> None:
    repository = node.repository()
    payload = next(each for each in repository.release(VERSION).payloads if each.part is PartName.USR)
    assert b"".join(repository.fetch(payload, start=14_000)) == (b"usr" * 5000)[14_000:]
    assert node.http.asked[-1][1] == 14_000


def test_of_a_payload_that_is_there_nothing_is_asked(node: Node) -> None:
    repository = node.repository()
    payload = next(each for each in repository.release(VERSION).payloads if each.part is PartName.USR)
    before = len(node.http.asked)
    assert list(repository.fetch(payload, start=payload.size)) == []
    assert not [url for url, _ in node.http.asked[before:] if ".zst" in url]


class TwoMirrors:
    """`bad` is asked first and misbehaves under addresses with that end; `good` has the same files."""

    def __init__(self, simulator: RepositorySimulator, end: str, lie: Lie) -> None:
        self.http = FakeHttp(lambda url: simulator.files.get(url.split("/", 3)[3]))
        self.http.lies = {end: lambda url, data: lie(url, data) if url.startswith(OTHER) else iter([data])}


@pytest.mark.parametrize("lie", [away, broken_off, altered, truncated, elsewhere, slow, endless])
def test_metadata_comes_from_the_next_mirror_when_one_fails(node: Node, lie: Lie) -> None:
    mirrors = TwoMirrors(node.simulator, "timestamp.json", lie)
    repository = node.repository(OTHER, MIRROR, http=mirrors.http)
    assert repository.refresh().mirror == MIRROR


@pytest.mark.parametrize("lie", [away, broken_off, truncated, elsewhere, slow])
def test_a_payload_is_taken_on_from_the_next_mirror(node: Node, lie: Lie) -> None:
    mirrors = TwoMirrors(node.simulator, ".usr.zst", lie)
    assert usr_of(node.repository(OTHER, MIRROR, http=mirrors.http)) == b"usr" * 5000


def rotten(_: str, data: bytes) -> Iterator[bytes]:
    """As long as it should be, with one damaged sector: what a disk makes of a file."""
    yield data[:8] + bytes(8) + data[16:]


def rotten_and_short(_: str, data: bytes) -> Iterator[bytes]:
    yield bytes(len(data) // 2)


ROTTEN: list[Lie] = [rotten, rotten_and_short]


@pytest.mark.parametrize("lie", [away, broken_off, altered, truncated, elsewhere, slow, endless, *ROTTEN])
def test_a_node_that_judges_each_chunk_gets_the_payload_from_the_next_mirror(node: Node, lie: Lie) -> None:
    node.simulator.publish(OLDER, packed=True)
    node.simulator.show()
    mirrors = TwoMirrors(node.simulator, ".usr.zst", lie)
    repository = node.repository(OTHER, MIRROR, http=mirrors.http)
    release = repository.release(OLDER)
    payload = next(each for each in release.payloads if each.part is PartName.USR)

    def attempt() -> bytes:
        return b"".join(rebuild_full(repository.fetch(payload), payload, release.usr))

    with suppress(PeerError):
        attempt()
    assert attempt() == b"usr" * 5000


@pytest.mark.parametrize("lie", [away, broken_off, altered, truncated, elsewhere, slow, endless, *ROTTEN])
def test_a_document_comes_from_the_next_mirror_at_once(node: Node, lie: Lie) -> None:
    mirrors = TwoMirrors(node.simulator, "manifest.json", lie)
    assert node.repository(OTHER, MIRROR, http=mirrors.http).release(VERSION).version == VERSION


def test_a_mirror_that_lied_is_asked_last_from_then_on(node: Node) -> None:
    mirrors = TwoMirrors(node.simulator, ".usr.zst", altered)
    repository = node.repository(OTHER, MIRROR, http=mirrors.http)
    with pytest.raises(PeerError, match="is not what was signed"):
        usr_of(repository)
    assert usr_of(repository) == b"usr" * 5000


def test_when_every_mirror_fails_each_says_why(node: Node) -> None:
    mirrors = TwoMirrors(node.simulator, "timestamp.json", slow)
    del node.simulator.files[TIMESTAMP_FILE]
    mirrors.http.pages = lambda url: b"x" if url.startswith(OTHER) and "timestamp" in url else None
    with pytest.raises(PeerError, match="No mirror can be used") as caught:
        node.repository(OTHER, MIRROR, http=mirrors.http).refresh()
    assert "is too slow" in caught.value.details
    assert "lacks the timestamp" in caught.value.details


def lie_of(problem: Exception) -> Lie:
    """A mirror that brings this about half-way."""

    def lie(_: str, data: bytes) -> Iterator[bytes]:
        yield data[:1]
        raise problem

    return lie


ODD = [
    UserError("'releases.example' is not an address of a server."),
    MachineError("The authority that is to be trusted cannot be read."),
    KeyError("nobody foresaw this"),
    OSError("nor this"),
]


@pytest.mark.parametrize("problem", ODD, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("end", ["timestamp.json", "manifest.json", ".usr.zst"])
def test_whatever_one_mirror_brings_about_the_others_are_asked(node: Node, end: str, problem: Exception) -> None:
    mirrors = TwoMirrors(node.simulator, end, lie_of(problem))
    assert usr_of(node.repository(OTHER, MIRROR, http=mirrors.http)) == b"usr" * 5000


def test_what_nobody_foresaw_is_told_with_the_mirror_and_the_place(node: Node) -> None:
    node.http.lies["timestamp.json"] = lie_of(KeyError("no such key"))
    with pytest.raises(PeerError, match=f"{MIRROR} does what nobody foresaw") as caught:
        node.repository().refresh()
    assert caught.value.details.startswith("KeyError: 'no such key' (test_trust.py:")


def test_where_this_machine_fails_as_well_that_is_told(node: Node) -> None:
    mirrors = TwoMirrors(node.simulator, "timestamp.json", lie_of(MachineError("There is no space left.")))
    del node.simulator.files[TIMESTAMP_FILE]
    mirrors.http.pages = lambda url: b"x" if url.startswith(OTHER) and "timestamp" in url else None
    with pytest.raises(MachineError, match="There is no space left"):
        node.repository(OTHER, MIRROR, http=mirrors.http).refresh()


def test_a_timestamp_that_has_not_changed_is_not_sent_again(node: Node) -> None:
    repository = node.repository()
    repository.refresh()
    repository.refresh()
    assert node.http.unchanged == 1


def test_three_new_roots_are_followed_at_once(node: Node) -> None:
    for role in ("root", "root", "timestamp"):
        node.simulator.rotate(role)
    node.simulator.renew()
    assert node.repository().refresh().root_version == 4


@pytest.mark.parametrize("seen_before", [True, False])
def test_a_node_that_was_off_for_more_than_a_year_catches_up(node: Node, *, seen_before: bool) -> None:
    if seen_before:
        node.repository().channel("1.37/stable")
    for role in ("root", "root", "root", "timestamp", "targets"):
        node.simulator.now += timedelta(days=100)
        node.simulator.rotate(role)
    node.simulator.publish("Bedplate-1.37-amd64-202804.01.0")
    node.simulator.point("1.37/stable", "Bedplate-1.37-amd64-202804.01.0")
    node.simulator.renew()
    node.now = node.simulator.now
    assert node.repository().channel("1.37/stable").version == "Bedplate-1.37-amd64-202804.01.0"


def test_a_root_that_expired_and_was_not_replaced_stands_still(node: Node) -> None:
    node.now = START + 2 * YEAR
    node.simulator.now = node.now
    node.simulator.renew()
    with pytest.raises(PeerError, match="stands still"):
        node.repository().refresh()


@pytest.mark.parametrize("clock", [datetime(1970, 1, 1, tzinfo=UTC), START - YEAR])
def test_a_clock_that_is_behind_is_replaced_by_what_was_seen_and_this_is_said(node: Node, clock: datetime) -> None:
    node.repository().refresh()
    node.now = clock
    status = node.repository().refresh()
    assert status.moment.at == START
    assert "the newest time that the repository signed stands in" in status.moment.stands_in


def test_a_clock_that_is_behind_does_not_bring_expired_metadata_back(node: Node) -> None:
    node.simulator.now += timedelta(days=60)
    node.simulator.renew()
    node.now = node.simulator.now
    node.repository().refresh()
    node.now = START
    node.simulator.bump("timestamp")
    node.simulator.timestamp.expires = START + timedelta(days=7)
    node.simulator.show_timestamp()
    with pytest.raises(PeerError, match="stands still"):
        node.repository().refresh()


def test_a_time_that_a_thief_signed_is_forgotten_with_the_key(node: Node) -> None:
    node.simulator.bump("timestamp")
    node.simulator.now = START + 70 * YEAR
    node.simulator.timestamp.expires = START + 80 * YEAR
    node.simulator.show_timestamp()
    node.repository().refresh()
    with pytest.raises(PeerError, match="stands still"):
        node.repository().refresh()
    node.simulator.now = START + timedelta(days=1)
    node.simulator.rotate("timestamp")
    node.simulator.renew()
    assert node.repository().channel("1.37/stable").version == VERSION
    assert node.repository().refresh().moment.at < START + YEAR


def test_before_anything_was_seen_the_time_of_the_image_stands_in(node: Node) -> None:
    node.now = datetime(1970, 1, 1, tzinfo=UTC)
    status = node.repository().refresh()
    assert status.moment.at == node.built
    assert "the time when the image was made stands in" in status.moment.stands_in


def test_a_clock_that_is_ahead_is_named_with_the_time(node: Node) -> None:
    node.now = START + YEAR
    with pytest.raises(PeerError, match="stands still") as caught:
        node.repository().refresh()
    assert "The time that counts is 2027-11-24" in caught.value.details
    assert "Look at this machine's clock" in caught.value.resolution


def test_a_clock_that_was_ahead_does_no_lasting_harm(node: Node) -> None:
    node.repository().refresh()
    node.now = START + YEAR
    with pytest.raises(PeerError):
        node.repository().refresh()
    node.now = START
    assert node.repository().refresh().moment.stands_in == ""


def test_a_damaged_record_of_the_time_is_made_anew(node: Node) -> None:
    node.repository().refresh()
    (node.folder / "seen.json").write_bytes(b"{")
    node.repository().refresh()
    assert b"2026-11-24" in (node.folder / "seen.json").read_bytes()


@pytest.mark.parametrize("damage", [b"", b"{", b"\0" * 100], ids=["emptied", "cut", "zeroed"])
def test_whatever_is_damaged_in_the_folder_is_made_anew_from_the_root_of_the_image(node: Node, damage: bytes) -> None:
    node.simulator.rotate("timestamp")
    node.simulator.renew()
    node.repository().release(VERSION)
    files = [path for path in node.folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) >= 9
    for path in files:
        path.write_bytes(damage)
        assert usr_of(node.repository()) == b"usr" * 5000
        assert path.read_bytes() != damage
