"""What a boot that failed wrote last: the kernel's own words where it died, else the end of its log."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bedplate.host.run import Completed
from bedplate.node.update.last_words import BEFORE, LINES, PSTORE, last_words
from bedplate.node.update.status import SHOWN_LINES
from bedplate.testing.runner import FakeRunner, completed

PANIC = "<0>[ 9.3] Kernel panic - not syncing: sysrq triggered crash"
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


def test_a_long_trace_does_not_hide_what_the_kernel_died_of(tmp_path: Path) -> None:
    log = [*(f"line {n}" for n in range(50)), PANIC, *(f"trace {n}" for n in range(50))]
    saved(tmp_path, "1/001/dmesg.txt", "\n".join(log), at=100)
    found = last_words(tmp_path, FakeRunner(journal), since=50)
    assert (len(found), found.index(PANIC), found[-1]) == (SHOWN_LINES, BEFORE, f"trace {SHOWN_LINES - BEFORE - 2}")


def test_an_oops_and_the_panic_that_it_ends_in_are_both_told(tmp_path: Path) -> None:
    log = ["<1>[ 9.1] BUG: kernel NULL pointer dereference", *(f"trace {n}" for n in range(50)), PANIC, "the end"]
    saved(tmp_path, "1/001/dmesg.txt", "\n".join(log), at=100)
    found = last_words(tmp_path, FakeRunner(journal), since=50)
    assert (len(found), found[0], found[-1]) == (SHOWN_LINES, log[0], PANIC)


def test_a_death_written_over_two_seconds_is_put_together_again(tmp_path: Path) -> None:
    saved(tmp_path, "1795594646/001/dmesg.txt", f"Panic#1 Part1\n{PANIC}\nits trace\n", at=100)
    saved(tmp_path, "1795594647/001/dmesg.txt", "Panic#1 Part2\nall is well\n", at=101)
    assert last_words(tmp_path, FakeRunner(journal), since=50) == ("all is well", PANIC, "its trace")


def test_what_never_came_to_the_disk_does_not_stand_for_what_did(tmp_path: Path) -> None:
    saved(tmp_path, "1/001/dmesg.txt", f"{PANIC}\n", at=100)
    saved(tmp_path, "2/001/dmesg.txt", "", at=200)
    assert last_words(tmp_path, FakeRunner(journal), since=50) == (PANIC,)


def test_what_a_sick_kernel_wrote_does_not_steer_a_terminal(tmp_path: Path) -> None:
    saved(tmp_path, "1/001/dmesg.txt", f"\x1b[2J{PANIC}\n", at=100)
    assert last_words(tmp_path, FakeRunner(journal), since=50) == (f"?[2J{PANIC}",)


@pytest.mark.parametrize("code", [1, 127])
def test_a_boot_whose_log_never_came_to_the_disk_has_no_words(tmp_path: Path, code: int) -> None:
    assert last_words(tmp_path, FakeRunner(lambda argv: completed(argv, code=code)), since=0) == ()
