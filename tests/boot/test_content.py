"""What an image that was built holds is what its recipe says, and nothing else."""

from __future__ import annotations

import re

import pytest

from bedplate.cli.components import CHECKOUT
from bedplate.image.build import Image
from bedplate.image.recipe import read_rules

pytestmark = pytest.mark.vm

OWN_NOTHING_IN_USR = {
    "ca-certificates": "its list of authorities becomes /etc/ssl",
    "linux-image-amd64": "names the kernel of the day",
    "netbase": "its /etc/services and /etc/protocols are factory files",
    "systemd-boot-efi": "the loader on the ESP",
}
SCRIPT = re.compile(r"\.(sh|py|pl|awk|tcl)$")


def test_every_program_is_one_that_the_recipe_gives_a_reason_for(image: Image) -> None:
    reasons = read_rules(CHECKOUT / "os", debug=False).executables
    assert {each.path: each.reason for each in image.manifest.executables} == dict(reasons)


def test_no_script_is_left_that_an_interpreter_would_run(image: Image) -> None:
    assert [file.path for file in image.manifest.files if SCRIPT.search(file.path)] == []


def test_of_every_package_that_is_asked_for_something_stays(image: Image) -> None:
    asked = re.findall(r"^ {4}([a-z0-9.+-]+)$", (CHECKOUT / "os/mkosi.conf").read_text(), re.MULTILINE)
    there = {package.name for package in image.manifest.packages}
    assert set(asked) - there == OWN_NOTHING_IN_USR.keys()
