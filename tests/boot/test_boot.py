"""A machine that belongs to no cluster: what its console shows, and how it takes a power cut."""

import re
import shutil

import pytest

from bedplate.image.build import Image
from bedplate.testing.vm.lab import Lab

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86 is not installed"),
]

BOOTED = "Reached target multi-user.target"
SECONDS = 300.0
"""More than any boot takes without KVM on a busy computer; a wait ends earlier when anything is wrong."""

COMPLAINT = re.compile(
    r"^\[.*\b(fail(ed|ure)?|errors?|warnings?|cannot|could not|unable|denied|timed out|not found|invalid)\b",
    re.IGNORECASE | re.MULTILINE,
)
"""A line of the kernel or of systemd that finds fault with something."""


def test_the_console_of_a_boot_is_clean(image: Image, lab: Lab) -> None:
    vm = lab.boot(image.folder)
    vm.wait_for(BOOTED, seconds=SECONDS)
    vm.expect_never_shown(COMPLAINT)
    after_firmware = vm.raw_console().partition(b"Booting initrd")[2]
    assert b"\x1b" not in after_firmware


def test_a_machine_boots_again_after_its_power_was_cut(image: Image, lab: Lab) -> None:
    vm = lab.boot(image.folder)
    vm.wait_for("Starting containerd.service", seconds=SECONDS)
    vm.crash()
    vm.switch_on()
    vm.wait_for(BOOTED, seconds=SECONDS)
