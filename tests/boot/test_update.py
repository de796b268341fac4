"""A node in a cluster becomes another version, or comes back to the one that worked and says why."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bedplate.cli.components import CHECKOUT
from bedplate.cli.context import places
from bedplate.image.build import DEVELOPMENT_KEYS, Image
from bedplate.image.manifest import read_manifest
from bedplate.model.versions import ImageVersion
from bedplate.testing.home import Home, free_port
from bedplate.testing.published import LabRepository

pytestmark = pytest.mark.vm

NODE = "system-1"
SETTINGS = """
[health]
seconds = 240
"""
SICK = {
    "usr/lib/systemd/system/sick.service": "[Service]\nType=oneshot\nExecStart=systemctl no-such-word\n",
    "usr/lib/systemd/system/multi-user.target.wants/sick.service": "-> ../sick.service",
}


@dataclass
class Lab:
    """A cluster of one node, the repository that it updates from, and images for that."""

    home: Home
    folder: Path
    repository: LabRepository

    def image(self, days: int = 0, changes: Mapping[str, str] | None = None) -> Image:
        """An image of this checkout that is `days` newer, with further files in its recipe."""
        root = self._variant(changes) if changes else CHECKOUT
        words = ["--output=json", f"--root={root}"]
        base = read_manifest(Path(self._build(words))).version if days else ""
        folder = Path(self._build([*words, f"--version={later(base, days)}"] if days else words))
        return Image(folder, read_manifest(folder), folder)

    def publish(self, days: int, changes: Mapping[str, str] | None = None, base: Image | None = None) -> str:
        """Publish such an image, and the delta of its UKI from that of `base`; its version."""
        return self.repository.publish(self.image(days, changes), base)

    def update(self, version: str) -> None:
        self.home.bedplate("node", "update", NODE, f"--version={version}")

    def try_in_vain(self, version: str) -> str:
        """Tell the node to become a version that does not work; why the node says it does not."""
        with pytest.raises(AssertionError, match="runs Bedplate-"):
            self.update(version)
        return self.failure(version)["reason"]

    def failure(self, version: str) -> dict[str, Any]:
        history = json.loads(self.home.bedplate("node", "history", NODE, "--output=json"))
        (found,) = [each for each in history["failed"] if each["version"] == version]
        return dict(found)

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.home.bedplate("node", "status", NODE, "--output=json")))

    def runs(self) -> str:
        """The version that the cluster says the node runs, once it is Ready."""
        self.home.kubectl("wait", f"node/{NODE}", "--for=condition=Ready", "--timeout=200s")
        info = json.loads(self.home.kubectl("get", "node", NODE, "-o=json"))["status"]["nodeInfo"]
        return str(info["osImage"]).replace("Bedplate ", "Bedplate-", 1)

    def _build(self, words: list[str]) -> str:
        return str(Path(json.loads(self.home.bedplate("image", "build", *words))["disk"]).parent)

    def _variant(self, changes: Mapping[str, str]) -> Path:
        root = self.folder / f"variant-{len(list(self.folder.glob('variant-*')))}"
        shutil.copytree(CHECKOUT / "os", root / "os", symlinks=True)
        for name in ("components", "uv.lock"):
            (root / name).symlink_to(CHECKOUT / name)
        for name, text in changes.items():
            path = root / "os" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text.startswith("-> "):
                path.symlink_to(text.removeprefix("-> "))
            else:
                path.write_text(text)
        return root


def later(version: str, days: int) -> ImageVersion:
    known = ImageVersion.parse(version)
    return ImageVersion(known.kubernetes, known.day + timedelta(days=days), 0, known.architecture)


@pytest.fixture(scope="module")
def lab(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    del image  # what is built of it is built before its keys are taken
    home = Home(tmp_path_factory.mktemp("state"))
    # The pair that images of this computer are signed with anyway, so that the cache has them.
    shutil.copytree(places().state / DEVELOPMENT_KEYS, home.state / "bedplate" / DEVELOPMENT_KEYS)
    settings = home.state / "agent.toml"
    settings.write_text(SETTINGS)
    repository = LabRepository(home, home.state / "releases/repository")
    repository.begin()
    lab = Lab(home, home.state, repository)
    repository.promote(lab.publish(0))
    ports = (f"--api-port={free_port()}", f"--registry-port={free_port()}")
    told = (f"--releases={repository.folder}", f"--agent-settings={settings}")
    try:
        home.bedplate("cluster", "up", "--nodes=1", *ports, *told)
        yield lab
    finally:
        home.bedplate("cluster", "down", "--all")


def test_a_node_becomes_the_version_that_it_is_told(lab: Lab) -> None:
    version = lab.publish(1)
    lab.update(version)
    assert lab.runs() == version
    status = lab.status()
    assert (status["version"], status["state"]) == (version, "Good")


def test_a_kernel_is_packed_again_apart_and_boots(lab: Lab) -> None:
    version = lab.publish(3, base=lab.image(1))
    lab.update(version)
    assert lab.runs() == version
    history = json.loads(lab.home.bedplate("node", "history", NODE, "--output=json"))["happened"]
    (how,) = [each["reason"] for each in history if (each["version"], each["state"]) == (version, "Staged")]
    assert re.fullmatch(r"the UKI is installed with its tries: delta payload of \d+ bytes, made apart", how)


def test_a_version_that_is_not_healthy_is_left_with_its_reason(lab: Lab) -> None:
    before = lab.runs()
    sick = lab.publish(2, SICK)
    assert re.fullmatch(r"not healthy: sick\.service: failed.*", lab.try_in_vain(sick))
    assert lab.runs() == before
