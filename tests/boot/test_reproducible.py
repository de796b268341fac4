"""An image is a function of its recipe, its lock and its programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bedplate.cli.context import places
from bedplate.host.files import file_sha256
from bedplate.host.run import SystemRunner
from bedplate.image.build import Image

pytestmark = pytest.mark.vm

INPUTS = ("components", "downloads", "go", "packages", "toolchains", "tools")
"""What a second build may take from the cache: what it is made of, but nothing of how it is put together."""


def test_the_same_image_built_twice_is_the_same_byte_for_byte(image: Image, tmp_path: Path) -> None:
    (tmp_path / "bedplate").mkdir()
    for name in INPUTS:
        (tmp_path / "bedplate" / name).symlink_to(places().cache / name)
    argv = [sys.executable, "-m", "bedplate.cli", "image", "build", "--output=json"]
    done = SystemRunner().run(argv, env={"XDG_CACHE_HOME": str(tmp_path)}, seconds=900)
    again = Path(json.loads(done.stdout)["disk"])
    assert again.is_relative_to(tmp_path)
    try:
        assert file_sha256(again) == file_sha256(image.disk)
    finally:
        again.unlink()
