"""Whatever a new version does, and whatever happens on the way to it, the node comes back and says why."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from bedplate.image.build import Image
from bedplate.image.keys import development_pair
from bedplate.image.tools import Tools
from bedplate.testing.updating import NODE, PANICS, UpdateLab, open_update_lab

pytestmark = pytest.mark.vm

HANGS = {"usr/lib/tmpfiles.d/zz-hang.conf": "w /sys/fs/cgroup/init.scope/cgroup.freeze - - - - 1\n"}
"""PID 1 stands still: what no check could tell."""


@pytest.fixture(scope="module")
def lab(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpdateLab]:
    del image  # what is built of it is built before its keys are taken
    with open_update_lab(tmp_path_factory.mktemp("state")) as opened:
        yield opened


def test_a_uki_that_a_stranger_signed_is_never_offered_a_boot(lab: UpdateLab, tools: Tools) -> None:
    before, began = lab.runs(), len(lab.console())
    stranger = signed_by_stranger(lab.image(2), lab, tools)
    assert "signed by another than the one that runs" in lab.try_in_vain(lab.repository.publish(stranger))
    assert "Booting initrd" not in lab.console()[began:]
    assert lab.runs() == before


def test_a_power_cut_while_the_slot_is_written_is_made_up_for(lab: UpdateLab) -> None:
    version, began = lab.publish(1), len(lab.console())
    lab.home.bedplate("node", "update", NODE, f"--version={version}", "--no-wait")
    lab.wait_for_line(f"Take releases/{version}/usr.zst", after=began)
    lab.restart()
    lab.update(version)
    assert lab.runs() == version


def test_a_version_whose_kernel_panics_is_left_after_its_tries(lab: UpdateLab) -> None:
    before = lab.runs()
    dead = lab.publish(4, PANICS)
    assert lab.try_in_vain(dead) == "it did not come up in 3 boots"
    assert lab.runs() == before
    assert any("sysrq triggered crash" in line for line in lab.failure(dead)["last_lines"])


def test_a_version_that_hangs_is_left_by_the_watchdog(lab: UpdateLab) -> None:
    before = lab.runs()
    frozen = lab.publish(5, HANGS)
    assert lab.try_in_vain(frozen) == "it did not come up in 3 boots"
    assert lab.runs() == before


def signed_by_stranger(image: Image, lab: UpdateLab, tools: Tools) -> Image:
    """The image with the signature of its UKI replaced by that of a pair with the same name in its certificate."""
    folder = lab.folder / "stranger"
    shutil.copytree(image.folder, folder, ignore=shutil.ignore_patterns("disk.*"))
    development_pair(folder / "pair", tools)
    tools.run(folder, ["sbattach", "--remove", "/mnt/uki.efi"])
    keys = ["--key=/mnt/pair/db.key", "--cert=/mnt/pair/db.crt"]
    tools.run(folder, ["sbsign", *keys, "--output=/mnt/uki.efi", "/mnt/uki.efi"])
    return Image(folder, image.manifest, folder)
