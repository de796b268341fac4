"""An image that was built becomes a release: signed, whole, and packed as small as was promised."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bedplate.host.run import SystemRunner
from bedplate.image.build import Image

pytestmark = pytest.mark.vm

SECONDS = 1800.0


def test_an_image_is_published_as_it_is_and_verifies(image: Image, tmp_path: Path) -> None:
    def release(*words: str) -> str:
        argv = [sys.executable, "-m", "bedplate.cli", "release", *words, f"--repository={tmp_path / 'repository'}"]
        return SystemRunner().run(argv, env={"XDG_STATE_HOME": str(tmp_path / "state")}, seconds=SECONDS).text

    keys = f"--keys={tmp_path / 'keys'}"
    version = image.manifest.version
    release("init", keys)
    release("publish", str(image.folder), keys)
    release("promote", version, "1.37/stable", keys)
    release("verify")
    shown = json.loads(release("show", version, "--output=json"))
    assert shown["version"] == version
    packed = sum(path.stat().st_size for path in (tmp_path / "repository").rglob("*.zst"))
    assert packed < 120e6
