"""Publishing: what is shown is whole at every instant, versions never change, channels move forward."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bedplate.model.digests import sha256
from bedplate.model.errors import MachineError, PeerError, UserError
from bedplate.node.boot import built
from bedplate.release.publish.changes import begin, promote, publish
from bedplate.release.publish.edit import carry_out
from bedplate.release.publish.keys import Keyring, make_keys
from bedplate.release.trust.layout import TIMESTAMP_FILE
from bedplate.release.trust.refusals import ReleaseWithdrawn
from bedplate.testing.clock import START
from bedplate.testing.releases import OLDER, VERSION, release_of
from bedplate.testing.store import MemoryStore, PowerCut
from bedplate.testing.uki import make_uki
from bedplate.wire.release import manifest_path
from tests.unit.release.publisher import STABLE, Change, Publisher, promoting, publishing, withdrawing


def test_a_node_reads_what_was_published_and_promoted(publisher: Publisher) -> None:
    publisher.do(publishing())
    publisher.do(promoting())
    node = publisher.node()
    release = node.release(node.channel(STABLE).version)
    assert b"".join(node.fetch(release.payloads[0])) == b"usr" * 5000


def test_an_empty_repository_can_be_trusted(publisher: Publisher) -> None:
    assert publisher.node().refresh().root_version == 1
    assert publisher.node().withdrawn().versions == ()


def test_a_published_version_never_changes(publisher: Publisher) -> None:
    publisher.do(publishing())
    before = dict(publisher.store.files)
    with pytest.raises(UserError, match=f"{VERSION} is published already"):
        publisher.do(publishing(usr=b"other" * 5000))
    assert publisher.store.files == before


def test_a_version_whose_day_comes_after_the_timestamp_has_expired_is_refused(publisher: Publisher) -> None:
    """Its nodes could not be updated any more: they take its day for the least that the time can be."""
    last, late = "Bedplate-1.37-amd64-202612.01.0", "Bedplate-1.37-amd64-202612.02.0"
    before = dict(publisher.store.files)
    with pytest.raises(UserError, match=f"The day of {late} is too far ahead") as caught:
        publisher.do(publishing(late))
    assert "holds until 2026-12-01 06:00 UTC" in caught.value.details
    assert publisher.store.files == before
    publisher.do(publishing(last))


def test_a_node_of_the_latest_day_that_is_published_can_be_updated_further(publisher: Publisher) -> None:
    version = "Bedplate-1.37-amd64-202612.01.0"
    publisher.do(publishing(version))
    assert publisher.node(built=built(version)).release(version).version == version


def test_a_channel_moves_forward_and_remembers(publisher: Publisher) -> None:
    for version in (OLDER, VERSION):
        publisher.do(publishing(version))
        publisher.do(promoting(version))
    channel = publisher.node().channel(STABLE)
    assert (channel.version, channel.history) == (VERSION, (OLDER,))


def test_a_channel_moves_back_only_on_purpose(publisher: Publisher) -> None:
    for version in (OLDER, VERSION):
        publisher.do(publishing(version))
        publisher.do(promoting(version))
    with pytest.raises(UserError, match="which is newer than") as raised:
        publisher.do(promoting(OLDER))
    assert f"bedplate node update NAME --version {OLDER}" in raised.value.resolution
    publisher.do(promoting(OLDER, allow_rollback=True))
    assert publisher.node().channel(STABLE).version == OLDER


def test_a_channel_that_points_there_already_needs_no_signature(publisher: Publisher) -> None:
    publisher.do(publishing())
    publisher.do(promoting())
    assert publisher.edit(promoting()).actions == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (promoting(OLDER), f"{OLDER} is not published"),
        (lambda edit: promote(edit, "1.36/stable", VERSION), "cannot point to"),
        (lambda edit: promote(edit, "stable", VERSION), "cannot point to"),
        (withdrawing(OLDER), f"{OLDER} is not published"),
        (withdrawing(reason=" "), "needs a reason"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(publisher: Publisher, change: Change, words: str) -> None:
    publisher.do(publishing())
    with pytest.raises(UserError, match=words):
        publisher.do(change)


def test_a_withdrawn_version_is_refused_by_nodes_and_by_channels(publisher: Publisher) -> None:
    publisher.do(publishing())
    publisher.do(withdrawing())
    with pytest.raises(ReleaseWithdrawn, match="it eats disks"):
        publisher.node().release(VERSION)
    with pytest.raises(UserError, match="was withdrawn: it eats disks"):
        publisher.do(promoting())
    with pytest.raises(UserError, match="was withdrawn at"):
        publisher.do(withdrawing())


def test_files_that_the_manifest_does_not_describe_are_refused(publisher: Publisher) -> None:
    release, files = release_of(VERSION, usr=b"usr")
    del files[manifest_path(VERSION)]
    path = release.payloads[0].path
    with pytest.raises(UserError, match="is not the file that the manifest describes"):
        publisher.do(lambda edit: publish(edit, release, {**files, path: b"other"}))
    with pytest.raises(UserError, match="are not those that its manifest names") as caught:
        publisher.do(lambda edit: publish(edit, release, {"elsewhere/file": b""}))
    assert f"missing: {path}" in caught.value.details
    assert "stray: elsewhere/file" in caught.value.details


def test_a_uki_that_starts_another_usr_is_refused_and_both_are_named(publisher: Publisher) -> None:
    other = sha256(b"other")
    release, files = release_of(VERSION, usr=b"usr", uki=make_uki(VERSION, other), packed=True)
    del files[manifest_path(VERSION)]
    before = dict(publisher.store.files)
    with pytest.raises(UserError, match=f"UKI of {VERSION} does not start the /usr of its manifest") as caught:
        publisher.do(lambda edit: publish(edit, release, files))
    assert f"usrhash={other}" in caught.value.details
    assert release.verity.root_hash in caught.value.details
    assert publisher.store.files == before


def test_a_uki_that_names_no_usr_is_refused(publisher: Publisher) -> None:
    release, files = release_of(VERSION, usr=b"usr", uki=make_uki(VERSION, ""), packed=True)
    del files[manifest_path(VERSION)]
    with pytest.raises(UserError, match="does not start the /usr") as caught:
        publisher.do(lambda edit: publish(edit, release, files))
    assert "usrhash=none" in caught.value.details


@pytest.mark.parametrize(
    ("uki", "packed", "words"),
    [(b"MZ, and no more", True, "PE"), (make_uki(VERSION, sha256(b"usr")), False, "frame")],
    ids=["no UKI", "no payload of it"],
)
def test_a_uki_that_cannot_be_read_is_refused(publisher: Publisher, uki: bytes, packed: bool, words: str) -> None:  # noqa: FBT001
    release, files = release_of(VERSION, usr=b"usr", uki=uki, packed=packed)
    del files[manifest_path(VERSION)]
    with pytest.raises(UserError, match=f"The UKI of {VERSION} cannot be read") as caught:
        publisher.do(lambda edit: publish(edit, release, files))
    assert words in caught.value.details


@pytest.mark.parametrize(
    "change", [publishing(), promoting(OLDER), withdrawing(OLDER)], ids=["publish", "promote", "w"]
)
def test_a_power_cut_after_any_write_leaves_a_repository_that_works(publisher: Publisher, change: Change) -> None:
    publisher.do(publishing(OLDER))
    before = dict(publisher.store.files)
    writes = publisher.edit(change).seal(publisher.keys)
    for power in range(len(writes) + 1):
        publisher.store = MemoryStore(dict(before), power=power)
        try:
            carry_out(writes, publisher.store)
        except PowerCut:
            assert publisher.node(f"node-{power}").release(OLDER).version == OLDER
            publisher.store.power = None
            publisher.do(change)
        assert publisher.node(f"again-{power}").refresh().version == 3


def test_a_repository_whose_beginning_was_cut_is_begun_again(publisher: Publisher) -> None:
    writes = begin(publisher.keys, publisher.now).seal(publisher.keys)
    for power in range(len(writes)):
        publisher.store = MemoryStore(power=power)
        with pytest.raises(PowerCut):
            carry_out(writes, publisher.store)
        assert TIMESTAMP_FILE not in publisher.store.files
        publisher.store.power = None
        carry_out(begin(publisher.keys, publisher.now).seal(publisher.keys), publisher.store)
        assert publisher.node(f"node-{power}").refresh().root_version == 1


def test_the_timestamp_is_written_last(publisher: Publisher) -> None:
    publisher.store.writes.clear()
    publisher.do(publishing())
    assert publisher.store.writes.index(TIMESTAMP_FILE) == len(publisher.store.writes) - 1


def test_the_plan_names_every_write_with_its_reason_and_writes_nothing(publisher: Publisher) -> None:
    publisher.store.writes.clear()
    edit = publisher.edit(publishing())
    assert [action.name for action in edit.actions][-4:] == [
        f"Sign {VERSION} version 1",
        "Sign releases version 2",
        "Sign snapshot version 2",
        "Sign timestamp version 2",
    ]
    assert all(action.reason for action in edit.actions)
    assert publisher.store.writes == []


def test_keys_that_are_not_here_are_named(publisher: Publisher, tmp_path: Path) -> None:
    make_keys(tmp_path / "strangers")
    with pytest.raises(UserError, match="Too few keys of") as caught:
        publisher.edit(publishing()).seal(Keyring([tmp_path / "strangers"]))
    assert "not here: " in caught.value.details


def test_a_key_file_that_is_gone_is_named(publisher: Publisher) -> None:
    (publisher.folder / "keys/timestamp-1.pem").unlink()
    with pytest.raises(UserError, match="Too few keys of timestamp are here: 0 of the 1") as caught:
        publisher.edit(publishing()).seal(Keyring([publisher.folder / "keys"]))
    assert "(file2:timestamp-1.pem)" in caught.value.details


def test_a_key_file_that_holds_another_key_is_named(publisher: Publisher) -> None:
    (publisher.folder / "keys/timestamp-1.pem").write_bytes((publisher.folder / "keys/snapshot-1.pem").read_bytes())
    with pytest.raises(MachineError, match=r"file2:timestamp-1\.pem of timestamp cannot be used"):
        publisher.edit(publishing()).seal(Keyring([publisher.folder / "keys"]))


def test_private_keys_are_for_their_owner_alone(publisher: Publisher) -> None:
    modes = {path.stat().st_mode & 0o777 for path in (publisher.folder / "keys").iterdir()}
    assert modes == {0o600}


def test_a_clock_behind_the_last_signature_signs_nothing(publisher: Publisher) -> None:
    publisher.now = START - timedelta(days=1)
    with pytest.raises(MachineError, match="clock is behind"):
        publisher.do(publishing())


def test_nothing_is_built_on_what_is_damaged(publisher: Publisher) -> None:
    publisher.do(publishing())
    publisher.store.files["metadata/2.releases.json"] += b" "
    with pytest.raises(PeerError, match=r"metadata/2\.releases\.json of the repository is damaged"):
        publisher.do(promoting())
