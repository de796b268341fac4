"""Locked packages come from anywhere, but only as the very bytes that are locked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bedplate.host.places import Places
from bedplate.image.debs import Supply, control
from bedplate.image.lock import Lock, Locked
from bedplate.model.digests import Sha256, sha256
from bedplate.model.errors import MachineError, PeerError
from bedplate.testing.debs import ar_member, deb
from bedplate.testing.download import FakeDownloader
from bedplate.testing.report import RecordedReport

MIRROR = "http://m/debian"
SNAPSHOT = "http://snapshot.debian.org/archive/debian/20261121T091544Z"
CONTROL = "Package: hull\nVersion: 1+2\nArchitecture: all\nEssential: yes\n"


HULL = deb(CONTROL)
PACKAGE = Locked("hull", "1+2", "all", len(HULL), sha256(HULL), "debian/pool/main/h/hull_1+2_all.deb")
LOCK = Lock((("trixie", datetime(2026, 11, 21, 9, 15, 44, tzinfo=UTC)),), (PACKAGE,))
AT_MIRROR = f"{MIRROR}/pool/main/h/hull_1%2b2_all.deb"
AT_SNAPSHOT = f"{SNAPSHOT}/pool/main/h/hull_1%2b2_all.deb"


def supply(folder: Path, downloader: FakeDownloader) -> Supply:
    return Supply(MIRROR, downloader, Places(folder, folder), RecordedReport())


def test_a_package_is_fetched_once(tmp_path: Path) -> None:
    downloader = FakeDownloader({AT_MIRROR: HULL})
    debs = supply(tmp_path, downloader).have(LOCK)
    supply(tmp_path, downloader).have(LOCK)
    assert debs.path(PACKAGE).read_bytes() == HULL
    assert downloader.asked == [AT_MIRROR]


def test_a_package_that_was_spoiled_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    debs = supply(tmp_path, FakeDownloader({AT_MIRROR: HULL})).have(LOCK)
    debs.path(PACKAGE).write_bytes(b"spoiled")
    supply(tmp_path, FakeDownloader({AT_MIRROR: HULL})).have(LOCK)
    assert debs.path(PACKAGE).read_bytes() == HULL


@pytest.mark.parametrize("pages", [{}, {AT_MIRROR: b"other"}], ids=["gone from the mirror", "exchanged on the mirror"])
def test_the_snapshot_archive_helps_where_the_mirror_does_not(tmp_path: Path, pages: dict[str, bytes]) -> None:
    downloader = FakeDownloader({**pages, AT_SNAPSHOT: HULL})
    debs = supply(tmp_path, downloader).have(LOCK)
    assert debs.path(PACKAGE).read_bytes() == HULL
    assert downloader.asked == [AT_MIRROR, AT_SNAPSHOT]


@pytest.mark.parametrize("pages", [{}, {AT_MIRROR: b"other", AT_SNAPSHOT: b"third"}], ids=["nowhere", "other bytes"])
def test_a_package_that_cannot_be_had_leaves_nothing_and_says_what_to_do(
    tmp_path: Path, pages: dict[str, bytes]
) -> None:
    with pytest.raises(PeerError, match=r"hull 1\+2 is locked") as caught:
        supply(tmp_path, FakeDownloader(pages)).have(LOCK)
    assert "bedplate image lock" in caught.value.resolution
    assert "--mirror" in caught.value.resolution
    assert list((tmp_path / "downloads/debs").iterdir()) == []


def test_the_repository_holds_the_locked_packages_and_goes_away(tmp_path: Path) -> None:
    with supply(tmp_path, FakeDownloader({AT_MIRROR: HULL})).have(LOCK).repository() as repository:
        assert (repository / "hull_1+2_all.deb").read_bytes() == HULL
        assert (repository / "Packages").read_text() == (
            f"{CONTROL}Filename: ./hull_1+2_all.deb\nSize: {len(HULL)}\nSHA256: {sha256(HULL)}\n"
        )
    assert not repository.exists()


@pytest.mark.parametrize(
    "data", [b"", b"!<arch>\n", b"!<arch>\n" + ar_member("control.tar.xz", b"no"), HULL[:150]], ids=len
)
def test_what_is_no_package_is_told_by_name(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.deb").write_bytes(data)
    with pytest.raises(MachineError, match=r"x\.deb is not a Debian package"):
        control(tmp_path / "x.deb")


def test_a_digest_is_not_taken_for_granted(tmp_path: Path) -> None:
    wrong = Lock(LOCK.suites, (Locked("hull", "1+2", "all", 1, Sha256("00" * 32), PACKAGE.path),))
    with pytest.raises(PeerError, match="is locked"):
        supply(tmp_path, FakeDownloader({AT_MIRROR: HULL, AT_SNAPSHOT: HULL})).have(wrong)
