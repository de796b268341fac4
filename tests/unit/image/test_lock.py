"""A lock says which packages there are, and anything else is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from bedplate.image.lock import (
    PACKAGES,
    Lock,
    Locked,
    changes,
    names_of,
    names_of_mkosi,
    read_lock,
    require_locked,
    require_named,
    versions,
    write_lock,
)
from bedplate.image.recipe import packages_lock, tools_lock
from bedplate.image.relock import Change, compare, renew
from bedplate.model.digests import Sha256
from bedplate.model.errors import UserError
from bedplate.model.versions import next_made

ROOT = Path(__file__).parents[3]
DAY = datetime(2026, 11, 21, 9, 15, 44, tzinfo=UTC)
LATER = datetime(2026, 11, 23, 2, 9, 33, tzinfo=UTC)
ZLIB = Locked("zlib1g", "1:1.3", "amd64", 100, Sha256("ab" * 32), "debian/pool/main/z/zlib1g_1.3_amd64.deb")
BASH = Locked("bash", "5.2-1", "amd64", 200, Sha256("cd" * 32), "debian-security/pool/updates/main/b/bash_5.2-1.deb")
LOCK = Lock((("trixie", DAY), ("trixie-updates", LATER)), (BASH, ZLIB))
NEWER = replace(LOCK, packages=(replace(BASH, version="5.2-2"), ZLIB))


def test_a_lock_reads_back_as_it_was_written() -> None:
    assert read_lock(write_lock(LOCK), PACKAGES) == LOCK


def test_the_digest_is_that_of_the_packages_alone() -> None:
    younger = replace(LOCK, suites=(("trixie", LATER),))
    assert younger.digest == LOCK.digest
    assert NEWER.digest != LOCK.digest


def test_a_snapshot_is_taken_when_the_youngest_index_was_current() -> None:
    assert LOCK.snapshot == "20261123T020933Z"


@pytest.mark.parametrize("line", ["bash 5.2 amd64", "bash 5.2 amd64 many ab debian/x", "# suite trixie yesterday"])
def test_a_line_that_is_none_is_named_with_its_number(line: str) -> None:
    with pytest.raises(UserError, match=r"os/packages\.lock, line 6") as caught:
        read_lock(f"{write_lock(LOCK)}{line}\n", PACKAGES)
    assert caught.value.details == line


@pytest.mark.parametrize("text", ["", "# nothing\n", "# suite trixie 2026-11-21T09:15:44Z\n"])
def test_a_lock_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="locks nothing"):
        read_lock(text, PACKAGES)


def test_a_package_that_was_added_without_locking_is_named() -> None:
    with pytest.raises(UserError, match="does not have nftables, zsh") as caught:
        require_named(LOCK, ["bash", "zsh", "nftables"], PACKAGES)
    assert "image lock" in caught.value.resolution


def test_what_was_installed_has_to_be_the_lock() -> None:
    require_locked(LOCK, {"bash": "5.2-1", "zlib1g": "1:1.3"}, PACKAGES)


@pytest.mark.parametrize(
    ("installed", "told"),
    [
        ({"bash": "5.2-1"}, "zlib1g 1:1.3 -> -"),
        ({"bash": "5.2-1", "zlib1g": "1:1.4"}, "zlib1g 1:1.3 -> 1:1.4"),
        ({"bash": "5.2-1", "zlib1g": "1:1.3", "zsh": "5"}, "zsh - -> 5"),
    ],
    ids=["one less", "another version", "one more"],
)
def test_each_package_that_is_not_as_locked_is_told(installed: dict[str, str], told: str) -> None:
    with pytest.raises(UserError) as caught:
        require_locked(LOCK, installed, PACKAGES)
    assert caught.value.details == told


def test_changes_are_sorted_and_leave_out_what_is_alike() -> None:
    assert changes({"c": "1", "b": "1", "a": "1"}, {"c": "2", "b": "1"}) == ("a 1 -> -", "c 1 -> 2")


def test_a_status_file_gives_names_with_versions() -> None:
    status = "Package: a\nVersion: 1:2\nDescription: x\n Version: 9\n\nPackage: b\nVersion: 3\n"
    assert versions(status) == {"a": "1:2", "b": "3"}


def test_names_are_read_from_a_list_without_comments() -> None:
    assert names_of("# tools\ncpio\n\nzstd  # packs\n") == ("cpio", "zstd")


def test_names_are_read_from_the_setting_of_mkosi_alone() -> None:
    text = "[Content]\nBootable=no\nPackages=\n    bash\n    # not this\n    zsh\n\n[Other]\nPackages2=\n    x\n"
    assert names_of_mkosi(text) == ("bash", "zsh")


def test_the_locks_of_this_checkout_have_what_it_asks_for() -> None:
    assert packages_lock(ROOT / "os").packages
    assert tools_lock(ROOT / "os").packages


def recipe(folder: Path, lock: Lock | None) -> Path:
    (folder / "version").write_text("202611.24.0\n")
    if lock:
        (folder / PACKAGES).write_text(write_lock(lock))
    return folder


def test_a_recipe_without_a_lock_says_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "mkosi.conf").write_text("\nPackages=bash\n")
    with pytest.raises(UserError, match="is missing") as caught:
        packages_lock(tmp_path)
    assert "image lock" in caught.value.resolution


def test_a_first_lock_keeps_the_version(tmp_path: Path) -> None:
    assert renew(recipe(tmp_path, None), PACKAGES, LOCK, date(2026, 11, 25))[0] == Change(PACKAGES, "bash", "", "5.2-1")
    assert (tmp_path / "version").read_text() == "202611.24.0\n"


def test_new_packages_make_a_new_version(tmp_path: Path) -> None:
    renew(recipe(tmp_path, LOCK), PACKAGES, NEWER, date(2026, 11, 25))
    assert (tmp_path / "version").read_text() == "202611.25.0\n"
    assert read_lock((tmp_path / PACKAGES).read_text(), PACKAGES) == NEWER


def test_new_tools_leave_the_version_alone(tmp_path: Path) -> None:
    recipe(tmp_path, None)
    (tmp_path / "tools.lock").write_text(write_lock(LOCK))
    renew(tmp_path, "tools.lock", NEWER, date(2026, 11, 25))
    assert (tmp_path / "version").read_text() == "202611.24.0\n"


def test_a_younger_index_with_the_same_packages_writes_nothing(tmp_path: Path) -> None:
    before = (recipe(tmp_path, LOCK) / PACKAGES).read_text()
    assert renew(tmp_path, PACKAGES, replace(LOCK, suites=(("trixie", LATER),)), date(2026, 11, 25)) == ()
    assert (tmp_path / PACKAGES).read_text() == before


def test_what_changed_between_locks_is_told_by_package() -> None:
    assert compare("l", LOCK, NEWER) == (Change("l", "bash", "5.2-1", "5.2-2"),)


@pytest.mark.parametrize(
    ("made", "today", "following"),
    [
        ("202611.24.0", date(2026, 11, 25), "202611.25.0"),
        ("202611.24.3", date(2026, 11, 24), "202611.24.4"),
        ("202611.24.3", date(2026, 1, 1), "202611.24.4"),
    ],
    ids=["another day", "the same day", "a clock that is behind"],
)
def test_versions_only_go_up(made: str, today: date, following: str) -> None:
    assert next_made(made, today) == following
