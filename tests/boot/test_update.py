"""A node in a cluster becomes another version, or comes back to the one that worked and says why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from bedplate.cli.components import CHECKOUT
from bedplate.cli.image import have_image
from bedplate.image.build import Image
from bedplate.model.versions import ImageVersion
from bedplate.testing.home import Home, free_port
from bedplate.testing.vm.releases import LabRepository

pytestmark = pytest.mark.vm

NODE = "system-1"
SETTINGS = """
[health]
seconds = 300
"""


def later(image: Image, days: int) -> ImageVersion:
    """A version newer than the image's."""
    version = ImageVersion.parse(image.manifest.version)
    return ImageVersion(version.kubernetes, version.day + timedelta(days=days), 0, version.architecture)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def next_image(image: Image) -> Image:
    """The same packages as the next version."""
    return have_image(CHECKOUT, version=later(image, 1))


@pytest.fixture(scope="module")
def repository(home: Home, image: Image, next_image: Image) -> LabRepository:
    repository = LabRepository(home, home.state / "releases/repository")
    repository.begin()
    repository.promote(repository.publish(image))
    repository.publish(next_image)
    return repository


@pytest.fixture(scope="module")
def cluster(home: Home, repository: LabRepository) -> Iterator[Home]:
    """A cluster of one node that runs `image` and updates from the repository."""
    settings = home.state / "agent.toml"
    settings.write_text(SETTINGS)
    ports = (f"--api-port={free_port()}", f"--registry-port={free_port()}")
    told = (f"--releases={repository.folder}", f"--agent-settings={settings}")
    try:
        home.bedplate("cluster", "up", "--nodes=1", *ports, *told)
        yield home
    finally:
        home.bedplate("cluster", "down", "--all")


def runs(home: Home) -> str:
    """The version that the cluster says the node runs."""
    info = json.loads(home.kubectl("get", "node", NODE, "-o=json"))["status"]["nodeInfo"]
    return str(info["osImage"]).replace("Bedplate ", "Bedplate-", 1)


def test_a_node_becomes_the_version_that_it_is_told(cluster: Home, next_image: Image) -> None:
    version = next_image.manifest.version
    cluster.bedplate("node", "update", NODE, f"--version={version}")
    assert runs(cluster) == version
    status = json.loads(cluster.bedplate("node", "status", NODE, "--output=json"))
    assert (status["version"], status["state"]) == (version, "Good")
    cluster.kubectl("wait", f"node/{NODE}", "--for=condition=Ready", "--timeout=120s")
