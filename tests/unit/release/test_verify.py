"""`verify` names everything that is damaged in a repository."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from bedplate.model.digests import Sha256
from bedplate.model.verdicts import Severity
from bedplate.release.publish.bundle import content
from bedplate.release.publish.keys import Keyring, make_key
from bedplate.release.publish.renewal import refresh
from bedplate.release.publish.rotation import rotate
from bedplate.release.publish.shown import read_shown
from bedplate.release.publish.verify import verify
from bedplate.release.trust.layout import ROOT_VERSION, TIMESTAMP_FILE
from bedplate.testing.releases import OLDER, VERSION
from bedplate.testing.store import MemoryStore
from tests.unit.release.publisher import Publisher, promoting, publishing, withdrawing


@pytest.fixture
def whole(publisher: Publisher) -> Publisher:
    for version in (OLDER, VERSION):
        publisher.do(publishing(version))
        publisher.do(promoting(version))
    held = make_key(publisher.folder / "keys", "root")
    publisher.keys = Keyring([publisher.folder / "keys"])
    old = publisher.keys.of_role("root")[0].keyid
    publisher.do(lambda edit: rotate(edit, "root", add=[held.key()], remove=[old]))
    publisher.do(refresh)
    return publisher


def named(publisher: Publisher) -> set[str]:
    return {finding.about for finding in verify(publisher.store, publisher.now)}


def in_use(publisher: Publisher) -> list[str]:
    return [TIMESTAMP_FILE, *content(read_shown(publisher.store), (OLDER, VERSION))]


def test_a_whole_repository_has_nothing_to_tell(whole: Publisher) -> None:
    assert verify(whole.store, whole.now) == []


def remove(files: dict[str, bytes], path: str) -> None:
    del files[path]


def cut(files: dict[str, bytes], path: str) -> None:
    files[path] = files[path][:-1]


def turn_a_bit(files: dict[str, bytes], path: str) -> None:
    middle = len(files[path]) // 2
    files[path] = files[path][:middle] + bytes([files[path][middle] ^ 1]) + files[path][middle + 1 :]


@pytest.mark.parametrize("damage", [remove, cut, turn_a_bit], ids=lambda each: each.__name__)
def test_each_file_in_use_is_named_when_it_is_damaged(
    whole: Publisher, damage: Callable[[dict[str, bytes], str], None]
) -> None:
    before = dict(whole.store.files)
    unnoticed = []
    for path in in_use(whole):
        whole.store.files = dict(before)
        damage(whole.store.files, path)
        unnoticed += [path] if path not in named(whole) else []
    assert unnoticed == []


def test_each_file_in_use_is_named_when_it_cannot_be_read(whole: Publisher) -> None:
    unnoticed = []
    for path in in_use(whole):
        findings = verify(Unreadable(whole.store.files, path), whole.now)
        said = [finding.message for finding in findings if finding.about == path]
        unnoticed += [path] if said != ["It cannot be read: Input/output error."] else []
    assert unnoticed == []


class Unreadable(MemoryStore):
    """A store on a disk with one bad place."""

    def __init__(self, files: dict[str, bytes], bad: str) -> None:
        super().__init__(files)
        self.bad = bad

    def read(self, path: str) -> bytes | None:
        self._try(path)
        return super().read(path)

    def measure(self, path: str) -> tuple[int, Sha256] | None:
        self._try(path)
        return super().measure(path)

    def _try(self, path: str) -> None:
        if path == self.bad:
            raise OSError(5, "Input/output error")


def test_a_root_that_no_other_leads_to_is_named_with_the_gap(whole: Publisher) -> None:
    whole.store.files["metadata/9999999.root.json"] = whole.store.files["metadata/1.root.json"]
    about = named(whole)
    assert {"metadata/9999999.root.json", "metadata/3.root.json"} <= about
    assert len(about) < 300


def test_a_damaged_root_is_told_of_once(whole: Publisher) -> None:
    del whole.store.files["metadata/2.root.json"]
    assert [finding.about for finding in verify(whole.store, whole.now)].count("metadata/2.root.json") == 1


@pytest.mark.parametrize("number", ["3", None, 2.5, True, [3]], ids=repr)
def test_a_newest_root_that_is_no_number_is_named_and_ends_nothing(whole: Publisher, number: object) -> None:
    stamp = json.loads(whole.store.files[TIMESTAMP_FILE])
    stamp["signed"][ROOT_VERSION] = number
    whole.store.files[TIMESTAMP_FILE] = json.dumps(stamp).encode()
    said = [finding.message for finding in verify(whole.store, whole.now) if finding.about == TIMESTAMP_FILE]
    assert [message.split(":")[0] for message in said[:1]] == ["Its signatures do not hold"]
    assert said[1:] == [f"It names {number!r} as the newest root, and that is no number."]


def test_everything_that_is_damaged_is_named_at_once(whole: Publisher) -> None:
    files = [path for path in in_use(whole) if path.startswith("targets/")]
    for path in files:
        turn_a_bit(whole.store.files, path)
    assert named(whole) == set(files)


def test_what_nobody_asks_for_any_more_does_not_matter(whole: Publisher) -> None:
    old = set(whole.store.files) - set(in_use(whole))
    for path in old:
        del whole.store.files[path]
    assert "metadata/2.snapshot.json" in old
    assert verify(whole.store, whole.now) == []


def test_what_has_expired_is_named_with_the_command_that_helps(whole: Publisher) -> None:
    whole.now += timedelta(days=400)
    advice = {finding.about: finding.advice for finding in verify(whole.store, whole.now)}
    assert advice[TIMESTAMP_FILE] == "Run `bedplate release refresh`."
    assert advice[f"metadata/1.{VERSION}.json"] == f"Run `bedplate release refresh {VERSION}`."


def test_a_channel_that_points_to_a_withdrawn_version_is_a_warning(whole: Publisher) -> None:
    whole.do(withdrawing(VERSION))
    (found,) = verify(whole.store, whole.now)
    assert (found.severity, found.about) == (Severity.WARNING, "channels/1.37/stable.json")


def test_what_a_cut_write_left_is_a_warning(whole: Publisher) -> None:
    whole.store.files["targets/.half.part"] = b""
    (found,) = verify(whole.store, whole.now)
    assert (found.severity, found.about) == (Severity.WARNING, "targets/.half.part")


def test_an_empty_folder_lacks_a_root(whole: Publisher) -> None:
    whole.store.files.clear()
    assert named(whole) == {"metadata/1.root.json"}
