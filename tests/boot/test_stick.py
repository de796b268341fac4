"""A node that reaches no mirror becomes the version on a USB stick, unasked, if every byte is what was signed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.host.files import file_sha256
from bedplate.host.run import SystemRunner
from bedplate.image.build import Image
from bedplate.testing.stick import flip_byte, make_stick
from bedplate.testing.updating import NO_MIRROR, UpdateLab, open_update_lab

pytestmark = pytest.mark.vm

LABEL = "BEDPLATE"
FROM_THEN_ON = ("Staged", "Rebooting", "Trying", "Good")
"""States of a node that has read all that it takes from a stick."""


@pytest.fixture(scope="module")
def lab(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpdateLab]:
    del image  # what is built of it is built before its keys are taken
    with open_update_lab(tmp_path_factory.mktemp("state"), source=NO_MIRROR) as opened:
        opened.refit(usb=True)
        yield opened


@pytest.fixture(scope="module")
def bundle(lab: UpdateLab) -> Path:
    """The next version, in the channel that the node follows."""
    lab.repository.promote(lab.publish(1))
    file = lab.folder / "bundle.zip"
    lab.repository.bundle(file)
    return file


def test_a_bundle_with_a_byte_that_was_altered_is_refused_with_its_reason(lab: UpdateLab, bundle: Path) -> None:
    before = lab.runs()
    flip_byte(bundle, "usr.zst")
    lab.plug_in(stick_with(bundle))
    flip_byte(bundle, "usr.zst")
    reason = "A payload does not make the part that its release describes."
    lab.wait(lambda: "" if reason in says(lab) else f"it does not refuse the bundle, but says {says(lab)}")
    assert "chunk" in says(lab)
    lab.pull_out()
    assert lab.runs() == before


def test_the_version_in_a_bundle_is_taken_unasked_and_the_stick_is_not_written_to(lab: UpdateLab, bundle: Path) -> None:
    version, stick = lab.image(1).manifest.version, stick_with(bundle)
    written = file_sha256(stick)
    lab.plug_in(stick)
    lab.wait(lambda: "" if lab.status()["state"] in FROM_THEN_ON else f"it reads the stick still, and says {says(lab)}")
    lab.wait(lambda: "" if lab.status()["version"] == version else f"it runs another version, and says {says(lab)}")
    lab.wait(lambda: "" if lab.status()["state"] == "Good" else f"it is not good, and says {says(lab)}")
    assert lab.runs() == version
    assert "full payload" in lab.ways(version)
    assert file_sha256(stick) == written


def stick_with(bundle: Path) -> Path:
    stick = bundle.with_name("stick")
    make_stick(stick, bundle, label=LABEL, runner=SystemRunner())
    return stick


def says(lab: UpdateLab) -> str:
    return str(lab.status()["node_says"])
