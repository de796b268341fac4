"""Files and folders are whole or not there, and a full disk is told as one."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from bedplate.host.files import (
    discard,
    folder_in_one_step,
    remove_all_leftovers,
    remove_leftovers,
    space_for,
    write_atomically,
)
from bedplate.model.errors import MachineError


def fill_the_disk() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    with folder_in_one_step(tmp_path / "a") as scratch:
        (scratch / "file").touch()
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a/file").exists()


def test_a_folder_that_fills_the_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="There is no space left for") as caught, folder_in_one_step(tmp_path / "a"):
        fill_the_disk()
    assert f"Free some space on the file system of {tmp_path}" in caught.value.resolution
    assert list(tmp_path.iterdir()) == []


def test_another_failure_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), folder_in_one_step(tmp_path / "a"):
        raise PermissionError(errno.EACCES, "Permission denied")
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_always_full_is_named() -> None:
    path = Path("/dev/full")
    with pytest.raises(MachineError, match="no space left for /dev/full"), space_for(path):
        path.write_bytes(b"x")


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"before", mode=0o600)
    with pytest.raises(TypeError):
        write_atomically(path, "no bytes")  # type: ignore[arg-type]
    assert (path.read_bytes(), [each.name for each in tmp_path.iterdir()]) == (b"before", ["file"])


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".a.x1", ".a.gone", "a", ".b.x1"):
        (tmp_path / name).mkdir()
    (tmp_path / ".a.half").touch()
    remove_leftovers(tmp_path / "a")
    assert {path.name for path in tmp_path.iterdir()} == {"a", ".b.x1"}


def test_a_discarded_folder_is_gone_even_after_one_that_was_cut_short(tmp_path: Path) -> None:
    for name in ("a", ".a.gone"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    discard(tmp_path / "a")
    discard(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_what_was_cut_short_under_any_name_goes_with_its_keys(tmp_path: Path) -> None:
    for name in (".one.x1/db.key", ".two.x2/db.key", "three/disk.raw"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    remove_all_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["three"]
