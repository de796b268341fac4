"""What no node may have, held against the recipe: the rules are the only way into /usr."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

import pytest

from bedplate.image.recipe import read_rules
from bedplate.image.stage import copy, os_release
from bedplate.image.usr import matcher, parse_debug
from bedplate.model.errors import UserError

RECIPE = Path(__file__).parents[3] / "os"
RULES = read_rules(RECIPE, debug=False)
DEBUG = read_rules(RECIPE, debug=True)
SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "busybox", "toybox", "rbash"}
INTERPRETERS = {"perl", "python3", "python", "ruby", "lua", "awk", "mawk", "gawk", "sed", "env", "xargs"}
WAYS_IN = {"ssh", "sshd", "login", "agetty", "getty", "su", "sudo", "telnetd", "sulogin"}
INSTALLERS = {"apt", "apt-get", "dpkg", "rpm", "pip", "snap", "gcc", "cc", "ld", "as"}
OTHER_USERS = {"passwd", "chsh", "newgrp", "gpasswd", "pkexec", "ping", "fusermount3", "unix_chkpwd"}


def test_every_executable_has_a_reason_in_words() -> None:
    assert [path for path, reason in DEBUG.executables.items() if not reason.strip()] == []


@pytest.mark.parametrize(
    "forbidden",
    [SHELLS, INTERPRETERS, WAYS_IN, INSTALLERS, OTHER_USERS],
    ids=["shells", "interpreters", "ways in", "installers and compilers", "programs that are setuid in Debian"],
)
def test_none_of_these_is_a_program_of_a_node(forbidden: set[str]) -> None:
    assert {PurePosixPath(path).name for path in RULES.executables} & forbidden == set()


@pytest.mark.parametrize("path", ["usr/bin/bash", "usr/bin/perl", "usr/sbin/sshd", "usr/bin/dpkg", "usr/sbin/agetty"])
def test_no_pattern_lets_a_program_in_without_its_name(path: str) -> None:
    assert not matcher(RULES.data.keep)(path)


def test_the_initrd_has_no_program_that_usr_has_not() -> None:
    assert set(RULES.initrd.executables) <= RULES.executables.keys()


def test_a_development_image_is_a_normal_one_and_a_shell() -> None:
    assert "usr/bin/bash" in DEBUG.executables
    assert RULES.executables.keys() < DEBUG.executables.keys()
    assert DEBUG.enable["basic.target"] == ("console-shell.service",)
    assert DEBUG.enable["multi-user.target"] == RULES.enable["multi-user.target"]


def test_units_of_a_development_image_are_beside_its_rules() -> None:
    assert (RECIPE / "debug/usr/lib/systemd/system/console-shell.service").is_file()
    assert not (RECIPE / "usr/lib/systemd/system/console-shell.service").exists()


def test_damaged_rules_for_development_images_are_named() -> None:
    with pytest.raises(UserError, match=r"os/debug\.toml"):
        parse_debug(b"[shells]\n")


def test_a_development_image_says_so_wherever_its_name_is_shown() -> None:
    version = "Bedplate-1.37-amd64-202611.24.0"
    text = os_release(version, debug=True)
    assert 'NAME="Bedplate DEBUG"\n' in text
    assert 'PRETTY_NAME="Bedplate 1.37-amd64-202611.24.0 DEBUG"\n' in text
    assert f"IMAGE_VERSION={version}\n" in text
    assert "DEBUG" not in os_release(version, debug=False)


@pytest.mark.parametrize("bits", [stat.S_ISUID, stat.S_ISGID, stat.S_ISVTX], ids=["setuid", "setgid", "sticky"])
def test_special_bits_are_left_behind(tmp_path: Path, bits: int) -> None:
    (tmp_path / "su").write_bytes(b"x")
    (tmp_path / "su").chmod(0o755 | bits)
    copy(tmp_path / "su", tmp_path / "root/usr/bin/su")
    assert stat.S_IMODE((tmp_path / "root/usr/bin/su").stat().st_mode) == 0o755


def test_a_file_capability_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "ping").write_bytes(b"x")
    try:
        # CAP_NET_RAW, permitted and effective, as capabilities(7) lays it out.
        os.setxattr(tmp_path / "ping", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    except OSError:
        pytest.skip("only root on a file system with extended attributes can set one")
    copy(tmp_path / "ping", tmp_path / "root/ping")
    assert "security.capability" not in os.listxattr(tmp_path / "root/ping")
