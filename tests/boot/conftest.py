"""Real machines for tests: the image is built where the cache lacks it, and nothing runs on at the end."""

import logging
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from bedplate.cli.components import CHECKOUT
from bedplate.cli.image import have_image
from bedplate.host.clock import SystemClock
from bedplate.host.run import SystemRunner
from bedplate.image.build import Image
from bedplate.image.tools import Tools
from bedplate.local.cell.client import OpenCell, open_cell
from bedplate.local.cell.lan import Lan
from bedplate.local.machines.firmware import find_firmware
from bedplate.local.machines.kvm import choose_acceleration
from bedplate.local.machines.provider import LocalProvider
from bedplate.testing.ready import ReadyNode, open_ready
from bedplate.testing.updating import UpdateLab, open_update_lab
from bedplate.testing.vm.disks import AlteredImage, copy_image
from bedplate.testing.vm.ends import HasConsoles, read_ends
from bedplate.testing.vm.lab import Lab, open_lab

LIVE: pytest.StashKey[dict[str, object]] = pytest.StashKey()
"""What the fixtures that are set up have given out, by name."""


@pytest.fixture(scope="session")
def image() -> Image:
    """The image of this checkout."""
    return have_image(CHECKOUT)


@pytest.fixture(scope="session")
def tools(image: Image) -> Tools:
    """The tools tree with which the image was built."""
    return Tools(image.tools, SystemRunner())


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """Machines of one test. At its end none of them may have been in trouble that the test did not announce."""
    with open_lab(tmp_path / "lab", runner=SystemRunner(), say=logging.getLogger("vm").info) as opened:
        yield opened
        for vm in opened.made:
            vm.expect_no_trouble()


@pytest.fixture(scope="module")
def update_lab(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpdateLab]:
    """A Ready node that takes releases from a repository of its own."""
    del image  # what is built of it is built before its keys are taken
    with open_update_lab(tmp_path_factory.mktemp("state")) as opened:
        yield opened


@pytest.fixture(scope="session")
def saved_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadyNode]:
    """Booted for the first test that wants a Ready node; between tests it is off."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every question while a wait asks again and again
    say, runner = logging.getLogger("vm").info, SystemRunner()
    with open_ready(tmp_path_factory.mktemp("ready"), runner=runner, clock=SystemClock(), say=say) as opened:
        yield opened


@pytest.fixture
def ready(saved_node: ReadyNode) -> Iterator[ReadyNode]:
    """A node that has just become Ready, the only one of its cluster, and the same for every test."""
    saved_node.restore()
    yield saved_node
    try:
        saved_node.vm.expect_no_trouble()
    finally:
        saved_node.saved.rest()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Generator[None, Any]:
    """Remember what fixtures have given out, also when the next one fails and the test never gets any of it."""
    value = yield
    request.session.stash.setdefault(LIVE, {})[fixturedef.argname] = value
    return value


def pytest_fixture_post_finalizer(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> None:
    request.session.stash.setdefault(LIVE, {}).pop(fixturedef.argname, None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function, call: pytest.CallInfo[None]) -> Generator[None, Any]:
    """Whatever made a test fail, its message ends with what its machines said last."""
    if call.excinfo is not None and isinstance(call.excinfo.value, Exception):
        live = item.session.stash.get(LIVE, {})
        for text in sorted({_consoles(live[name]) for name in item.fixturenames if name in live} - {""}):
            call.excinfo.value.add_note(text)
    return (yield)


def _consoles(value: object) -> str:
    match value:
        case HasConsoles():
            return value.consoles()
        case LocalProvider():
            return read_ends(value.folder)
        case _:
            return ""


@pytest.fixture
def altered(image: Image, tools: Tools, tmp_path: Path) -> Iterator[AlteredImage]:
    """A copy of the image that the test may spoil. It is large, so it does not wait for pytest to tidy up."""
    folder = tmp_path / "altered"
    yield copy_image(image.folder, folder, tools=tools)
    shutil.rmtree(folder)


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[OpenCell]:
    """A cell of the test's own, with nothing in it."""
    opened = open_cell(tmp_path / "cell", relays={})
    yield opened
    opened.shutdown()


@pytest.fixture
def provider(cell: OpenCell, tmp_path: Path) -> LocalProvider:
    """A provider of machines in that cell, with a network and no cluster."""
    lan = Lan(cell, tmp_path / "lan")
    lan.prepare()
    runner = SystemRunner()
    return LocalProvider(
        cell=cell,
        lan=lan,
        folder=tmp_path / "machines",
        templates=tmp_path / "templates",
        runner=runner,
        firmware=find_firmware(),
        accelerator=choose_acceleration(runner).kind,
    )
