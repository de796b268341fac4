"""What the VM test language reads out of a console."""

import re

import pytest

from bedplate.testing.vm.console import TROUBLES, clean, end, find, find_trouble

SOUND = """\
[  OK  ] Started containerd.service - containerd.
[   13.323955] GPT:Primary header thinks Alt. header is not at the end of the disk.
[   40.26] device-mapper: verity: sha256 using shash "sha256-generic"
[  OK  ] Finished systemd-veritysetup@usr.service - Integrity Protection Setup for usr.
[   39.08] device-mapper: ioctl: 4.48.0-ioctl (2023-03-01) initialised: dm-devel@lists.linux.dev
EXT4-fs (vda8): mounted filesystem d0a87195 r/w with ordered data mode. Quota mode: none.
Welcome to Bedplate 1.37-amd64-202611.24.0!
"""

SICK = {
    "firmware refusal": "BdsDxe: failed to load Boot0001: Access Denied",
    "kernel panic": "[   55.1] Kernel panic - not syncing: dm-verity device corrupted",
    "kernel oops": "[    3.0] Oops: general protection fault, probably for non-canonical address",
    "kernel warning": "[    4.2] WARNING: CPU: 1 PID: 93 at kernel/fork.c:1",
    "program crash": "[   22.4] kubelet[312]: segfault at 0 ip 0000 sp 0000 error 4",
    "out of memory": "[   99.9] Out of memory: Killed process 312 (kubelet)",
    "verity corruption": "[   55.0] device-mapper: verity: 254:0: data block 1234 is corrupted",
    "verity refusal": "[    9.1] device-mapper: table: 254:0: verity: Root hash verification failed (-ENOKEY)",
    "file system error": "[   12.0] EXT4-fs error (device vda8): ext4_lookup:1855: inode #2",
    "unsigned module": "[   12.0] Loading of module with unavailable key is rejected",
    "failed unit": "[FAILED] Failed to start systemd-repart.service - Repartition Root Disk.",
    "failed dependency": "[DEPEND] Dependency failed for var.mount - Node state.",
    "emergency": "[  OK  ] Reached target emergency.target - What a machine does when it cannot boot.",
}


def test_a_sound_boot_has_no_trouble() -> None:
    assert find_trouble(SOUND) == ""


@pytest.mark.parametrize("trouble", [trouble.name for trouble in TROUBLES])
def test_each_trouble_is_recognised_and_named(trouble: str) -> None:
    assert find_trouble(SOUND + SICK[trouble]) == f"{trouble}: {SICK[trouble]}"


@pytest.mark.parametrize("trouble", [trouble.name for trouble in TROUBLES])
def test_an_announced_trouble_does_not_count(trouble: str) -> None:
    assert find_trouble(SOUND + SICK[trouble], announced=[trouble]) == ""


def test_the_first_trouble_is_told() -> None:
    text = f"{SICK['failed unit']}\n{SICK['kernel panic']}\n"
    assert find_trouble(text).startswith("failed unit")


def test_people_see_no_control_sequences() -> None:
    raw = b"\x1b[2J\x1b[01;01H\x1b[=3hBdsDxe\r\n\x1b[!p\x1b[?7hBooting \xff\r\n"
    assert clean(raw) == "BdsDxe\nBooting \ufffd\n"


def test_a_string_is_looked_for_as_it_stands_and_a_pattern_as_a_pattern() -> None:
    assert find("a+b", "a+b")
    assert find("aab", "a+b") is None
    assert find("aab", re.compile("a+b"))


def test_the_end_is_the_last_lines_that_say_something() -> None:
    assert end("one\n\ntwo\n\n\nthree\n\n", lines=2) == "two\nthree"
    assert end("\n \n") == "The console is empty."
