"""A build that is cut short leaves nothing in the way, and what is damaged in the cache is made again.

Marked as what boots machines, since it needs the caches that those tests fill.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.cli.context import places
from bedplate.host.clock import SystemClock, wait_until
from bedplate.host.files import file_sha256
from bedplate.host.run import Completed, SystemRunner, start
from bedplate.image.build import Image

pytestmark = pytest.mark.vm

RUNNER, CLOCK = SystemRunner(), SystemClock()
OWN = ("images", "locks", "logs")
COMMAND = ("env", "--default-signal=INT", sys.executable, "-m", "bedplate.cli", "image", "build")


@pytest.fixture
def cache(image: Image, tmp_path: Path) -> Iterator[Path]:
    """The cache that this machine has, but without images; those made in it are too large to be kept."""
    del image  # all that it is made of is in the cache now
    folder = tmp_path / "bedplate"
    folder.mkdir()
    for part in places().cache.iterdir():
        if part.name not in OWN:
            (folder / part.name).symlink_to(part)
    yield folder
    shutil.rmtree(folder / "images")


def build(cache: Path) -> Completed:
    return RUNNER.run(COMMAND, env={"XDG_CACHE_HOME": str(cache.parent)}, seconds=600)


def only_image(cache: Path) -> Path:
    """The image, beside which nothing lies."""
    (folder,) = (cache / "images").iterdir()
    return folder


def mounts() -> int:
    return len(Path("/proc/self/mounts").read_text().splitlines())


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda which: which.name)
def test_a_build_that_is_cut_short_does_not_stand_in_the_way_of_the_next(cache: Path, which: signal.Signals) -> None:
    before = mounts()
    number = start([*COMMAND], log=cache.parent / "out", env={"XDG_CACHE_HOME": str(cache.parent)})
    half = wait_until(
        lambda: "" if list(cache.glob("images/.*/root/usr/bin")) else "nothing", CLOCK, seconds=120, every=0.02
    )
    assert half.missing == "", (cache.parent / "out").read_text()
    os.kill(number, which)
    os.waitpid(number, 0)
    build(cache)
    assert (only_image(cache) / "disk.raw").is_file()
    assert mounts() == before


def test_a_damaged_image_is_made_again_and_is_the_same(cache: Path) -> None:
    build(cache)
    disk = only_image(cache) / "disk.raw"
    made = file_sha256(disk)
    disk.unlink()
    assert "disk.raw is missing" in build(cache).stderr.decode()
    assert only_image(cache) == disk.parent
    assert file_sha256(disk) == made
