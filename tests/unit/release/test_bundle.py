"""Updating without a network: a bundle is believed as far as a mirror is, and for as long as it says."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bedplate.model.errors import MachineError, PeerError, UserError
from bedplate.release.publish.bundle import make_bundle, plan_bundle
from bedplate.release.publish.edit import Edit
from bedplate.release.publish.renewal import refresh
from bedplate.release.publish.shown import read_shown
from bedplate.release.trust.bundle import open_bundle
from bedplate.release.trust.layout import TIMESTAMP_FILE
from bedplate.release.trust.repository import Repository
from bedplate.testing.releases import OLDER, VERSION
from tests.unit.release.publisher import STABLE, Publisher, promoting, publishing, withdrawing

DAYS = timedelta(days=90)


@pytest.fixture
def started(publisher: Publisher) -> Publisher:
    for version in (OLDER, VERSION):
        publisher.do(publishing(version))
        publisher.do(promoting(version))
    return publisher


def bundle(publisher: Publisher, *versions: str, lasting: timedelta = DAYS) -> Path:
    file = publisher.folder / "bundle.zip"
    edit = Edit(read_shown(publisher.store), publisher.now, publisher.keys.days)
    until = publisher.now + lasting
    plan_bundle(edit, versions, until)
    make_bundle(edit, versions, until, keyring=publisher.keys, store=publisher.store, file=file)
    return file


def offline(publisher: Publisher, file: Path, *, node: str = "node", **changes: datetime) -> Repository:
    root = publisher.store.files["metadata/1.root.json"]
    now = changes.get("now", publisher.now)
    return open_bundle(
        str(file),
        lambda: file.open("rb"),
        root,
        publisher.folder / node,
        lambda: now,
        built=changes.get("built", publisher.now),
    )


def test_a_bundle_gives_what_the_repository_gives(started: Publisher) -> None:
    node = offline(started, bundle(started, VERSION))
    release = node.release(node.channel(STABLE).version)
    assert b"".join(node.fetch(release.payloads[0])) == b"usr" * 5000
    assert b"".join(node.fetch(release.payloads[0], start=14_000)) == (b"usr" * 5000)[14_000:]


def test_a_bundle_holds_until_the_time_that_was_chosen(started: Publisher) -> None:
    file = bundle(started, VERSION)
    assert offline(started, file, now=started.now + timedelta(days=89)).release(VERSION).version == VERSION
    with pytest.raises(PeerError, match="stands still"):
        offline(started, file, now=started.now + timedelta(days=91)).refresh()


def test_without_a_clock_what_was_seen_stands_in_and_this_is_said(started: Publisher) -> None:
    file = bundle(started, VERSION)
    status = offline(started, file, now=datetime(1970, 1, 1, tzinfo=UTC)).refresh()
    assert "stands in" in status.moment.stands_in


def test_a_version_that_is_not_in_it_is_missed_clearly(started: Publisher) -> None:
    with pytest.raises(PeerError, match=f"lacks the {OLDER}"):
        offline(started, bundle(started, VERSION)).release(OLDER)


def test_an_older_bundle_than_was_seen_is_refused(started: Publisher) -> None:
    old = bundle(started, VERSION).rename(started.folder / "old.zip")
    offline(started, bundle(started, VERSION)).refresh()
    with pytest.raises(PeerError, match="rollback"):
        offline(started, old).refresh()


def test_after_a_bundle_the_network_is_believed_again(started: Publisher) -> None:
    offline(started, bundle(started, VERSION)).refresh()
    assert started.node().channel(STABLE).version == VERSION
    started.now += timedelta(days=8)
    with pytest.raises(PeerError, match="stands still"):
        started.node().refresh()
    started.do(refresh)
    assert started.node().refresh().mirror


def test_a_server_cannot_show_the_timestamp_of_a_bundle(started: Publisher) -> None:
    with zipfile.ZipFile(bundle(started, VERSION)) as opened:
        started.store.files[TIMESTAMP_FILE] = opened.read(TIMESTAMP_FILE)
    with pytest.raises(PeerError, match="shows the timestamp of a bundle as its own"):
        started.node().refresh()


def test_a_withdrawal_that_a_node_saw_is_not_undone_by_an_older_bundle(started: Publisher) -> None:
    file = bundle(started, VERSION)
    started.do(withdrawing(VERSION))
    started.node().refresh()
    with pytest.raises(PeerError, match="rollback"):
        offline(started, file).release(VERSION)


def test_a_bundle_that_would_outlive_what_is_in_it_is_not_made(started: Publisher) -> None:
    with pytest.raises(UserError, match="what is in it does not") as caught:
        bundle(started, VERSION, lasting=timedelta(days=400))
    assert f"{VERSION} expires" in caught.value.details
    assert "bedplate release refresh root targets" in caught.value.resolution


def test_a_bundle_of_nothing_or_of_the_withdrawn_is_not_made(started: Publisher) -> None:
    with pytest.raises(UserError, match="No version is named"):
        bundle(started)
    started.do(withdrawing(OLDER))
    with pytest.raises(UserError, match="was withdrawn"):
        bundle(started, OLDER)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_bundle_that_was_cut_is_refused(started: Publisher, share: float) -> None:
    file = bundle(started, VERSION)
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(PeerError, match="is not a bundle that can be read"):
        offline(started, file).refresh()


def test_a_bundle_with_a_turned_bit_is_refused(started: Publisher) -> None:
    file = bundle(started, VERSION)
    data = bytearray(file.read_bytes())
    data[data.index(b"usr" * 100) + 50] ^= 1
    file.write_bytes(data)
    node = offline(started, file)
    payload = node.release(VERSION).payloads[0]
    with pytest.raises(PeerError, match="broke off"):
        list(node.fetch(payload))


def test_a_bundle_whose_list_of_names_claims_more_than_memory_holds_is_refused(started: Publisher) -> None:
    file = started.folder / "huge.zip"
    size = 3 << 30
    file.touch()
    os.truncate(file, size)
    with file.open("ab") as opened:
        opened.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, size, 0, 0))
    with pytest.raises(PeerError, match="is not a bundle that can be read") as caught:
        offline(started, file).refresh()
    assert f"its directory claims {size} bytes" in caught.value.details


class Failing(io.BytesIO):
    """A stick that is pulled out once `left` bytes were read."""

    def __init__(self, data: bytes, left: int) -> None:
        super().__init__(data)
        self._left = left

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self._left -= len(data)
        if self._left < 0:
            raise MachineError("/dev/sdb cannot be read at 0.", details="[Errno 5] Input/output error")
        return data


@pytest.mark.parametrize(("left", "words"), [(0, "/dev/sdb cannot be read"), (9000, "broke off")])
def test_a_stick_that_fails_is_another_that_does_not_answer(started: Publisher, left: int, words: str) -> None:
    """And not this machine's failing, which would keep it from what else there is."""
    data = bundle(started, VERSION).read_bytes()
    root, folder = started.store.files["metadata/1.root.json"], started.folder / "node"
    whole = open_bundle("LABEL=BEDPLATE", lambda: io.BytesIO(data), root, folder, lambda: started.now)
    payload = whole.release(VERSION).payloads[0]
    node = open_bundle("LABEL=BEDPLATE", lambda: Failing(data, left), root, folder, lambda: started.now)
    target = whole.target_of(payload)
    with pytest.raises(PeerError, match=words):
        list(node.mirrors.stream(target, 0))
