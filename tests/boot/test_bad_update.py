"""Whatever a new version does, and whatever happens on the way to it, the node comes back and says why."""

from __future__ import annotations

import shutil

import pytest

from bedplate.image.build import Image
from bedplate.image.keys import development_pair
from bedplate.image.tools import Tools
from bedplate.testing.updating import NODE, PANICS, UpdateLab

pytestmark = pytest.mark.vm

HANGS = {"usr/lib/tmpfiles.d/zz-hang.conf": "w /sys/fs/cgroup/init.scope/cgroup.freeze - - - - 1\n"}
"""PID 1 stands still: what no check could tell."""
NO_VERDICT = {
    "usr/lib/systemd/system/bedplate-health.service.d/zz-no-verdict.conf": "[Service]\nExecStart=\n"
    "ExecStart=systemctl no-such-word\n"
}
"""The gate ends without a word."""


def test_a_uki_that_a_stranger_signed_is_never_offered_a_boot(update_lab: UpdateLab, tools: Tools) -> None:
    before, began = update_lab.runs(), len(update_lab.console())
    stranger = signed_by_stranger(update_lab.image(2), update_lab, tools)
    assert "signed by another than the one that runs" in update_lab.try_in_vain(update_lab.repository.publish(stranger))
    assert "Booting initrd" not in update_lab.console()[began:]
    assert update_lab.runs() == before


def test_a_power_cut_while_the_slot_is_written_is_made_up_for(update_lab: UpdateLab) -> None:
    version, began = update_lab.publish(1), len(update_lab.console())
    update_lab.home.bedplate("node", "update", NODE, f"--version={version}", "--no-wait")
    update_lab.wait_for_line(f"Take releases/{version}/usr.zst", after=began)
    update_lab.restart()
    update_lab.update(version)
    assert update_lab.runs() == version


def test_a_version_whose_kernel_panics_is_left_after_its_tries(update_lab: UpdateLab) -> None:
    before = update_lab.runs()
    dead = update_lab.publish(4, PANICS)
    assert update_lab.try_in_vain(dead) == "it did not come up in 3 boots"
    assert update_lab.runs() == before
    assert any("sysrq triggered crash" in line for line in update_lab.failure(dead)["last_lines"])


def test_a_version_that_hangs_is_left_by_the_watchdog(update_lab: UpdateLab) -> None:
    before = update_lab.runs()
    frozen = update_lab.publish(5, HANGS)
    assert update_lab.try_in_vain(frozen) == "it did not come up in 3 boots"
    assert update_lab.runs() == before


def test_a_version_whose_gate_gives_no_verdict_is_left_after_its_tries(update_lab: UpdateLab) -> None:
    before = update_lab.runs()
    silent = update_lab.publish(6, NO_VERDICT)
    assert "3 boots" in update_lab.try_in_vain(silent)
    assert update_lab.runs() == before


def signed_by_stranger(image: Image, update_lab: UpdateLab, tools: Tools) -> Image:
    """The image with the signature of its UKI replaced by that of a pair with the same name in its certificate."""
    folder = update_lab.folder / "stranger"
    shutil.copytree(image.folder, folder, ignore=shutil.ignore_patterns("disk.*"))
    development_pair(folder / "pair", tools)
    tools.run(folder, ["sbattach", "--remove", "/mnt/uki.efi"])
    keys = ["--key=/mnt/pair/db.key", "--cert=/mnt/pair/db.crt"]
    tools.run(folder, ["sbsign", *keys, "--output=/mnt/uki.efi", "/mnt/uki.efi"])
    return Image(folder, image.manifest, folder)
