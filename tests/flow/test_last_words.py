"""What a boot that failed wrote last: the kernel's own words where it died, else the end of its log."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bedplate.host.run import Completed
from bedplate.node.update.last_words import LINES, PSTORE, last_words
from bedplate.testing.runner import FakeRunner, completed

LOG = b"[ 9.1] kubelet[7]: refused\n[ 9.2] systemd[1]: Reached target reboot.target.\n"


def journal(argv: tuple[str, ...]) -> Completed:
    return completed(argv, stdout=LOG)


def saved(root: Path, name: str, text: str, *, at: float) -> None:
    path = root / PSTORE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))


def test_a_kernel_that_died_has_the_last_word(tmp_path: Path) -> None:
    saved(tmp_path, "1/dmesg.txt", "<6>all is well\n\n<0>Kernel panic - not syncing\n", at=100)
    assert last_words(tmp_path, FakeRunner(journal), since=50) == ("<6>all is well", "<0>Kernel panic - not syncing")


def test_the_newest_of_several_counts_and_of_one_time_the_whole_text(tmp_path: Path) -> None:
    saved(tmp_path, "1/dmesg.txt", "older\n", at=100)
    saved(tmp_path, "2/dmesg-efi-1", "a part\n", at=200)
    saved(tmp_path, "2/dmesg.txt", "newer\n", at=200)
    assert last_words(tmp_path, FakeRunner(journal), since=50) == ("newer",)


def test_what_died_before_the_update_has_nothing_to_say(tmp_path: Path) -> None:
    saved(tmp_path, "1/dmesg.txt", "long ago\n", at=10)
    assert last_words(tmp_path, FakeRunner(journal), since=50)[-1].endswith("Reached target reboot.target.")


def test_no_more_than_the_last_lines_are_kept(tmp_path: Path) -> None:
    saved(tmp_path, "1/dmesg.txt", "\n".join(f"line {n}" for n in range(500)), at=100)
    found = last_words(tmp_path, FakeRunner(journal), since=0)
    assert (len(found), found[-1]) == (LINES, "line 499")


@pytest.mark.parametrize("code", [1, 127])
def test_a_boot_whose_log_never_came_to_the_disk_has_no_words(tmp_path: Path, code: int) -> None:
    assert last_words(tmp_path, FakeRunner(lambda argv: completed(argv, code=code)), since=0) == ()
