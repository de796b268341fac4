"""Trees of packages are made of what is locked, from nowhere else, and are whole or not there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bedplate.host.places import Places
from bedplate.host.run import Completed
from bedplate.image.agent import PACKAGES as AGENT_PACKAGES
from bedplate.image.build import plan_image
from bedplate.image.debs import Debs, Supply
from bedplate.image.lock import PACKAGES, TOOLS, Lock, Locked, write_lock
from bedplate.image.order import ImageOrder, order_key
from bedplate.image.packages import have_packages, make_packages, packages_place
from bedplate.image.tools import Tools, have_tools, make_tools, tools_place
from bedplate.image.trees import RECORD, seal, tree_damage
from bedplate.model.digests import Sha256
from bedplate.model.errors import BedplateError, UserError
from bedplate.model.plans import Verb
from bedplate.model.versions import ImageVersion
from bedplate.testing.debs import deb
from bedplate.testing.download import FakeDownloader
from bedplate.testing.report import RecordedReport
from bedplate.testing.runner import FakeRunner, completed

LOCK = Lock(
    (("trixie", datetime(2026, 11, 21, tzinfo=UTC)),),
    tuple(Locked(n, "1", "all", 1, Sha256("00" * 32), f"debian/{n}.deb") for n in ("apt", "cpio", "debian-archive")),
)
LOCKED = "Package: apt\nVersion: 1\n\nPackage: cpio\nVersion: 1\n\nPackage: debian-archive\nVersion: 1\n"
STALE = LOCKED.replace("cpio\nVersion: 1", "cpio\nVersion: 2")
WHEELS = "\n".join(
    f'[[package]]\nname = "{name}"\nversion = "1"\nwheels = [{{ url = "{name}-1-py3-none-any.whl", hash = "0" }}]'
    for name in AGENT_PACKAGES
)
VERSION = ImageVersion.parse("Bedplate-1.37-amd64-202611.24.0")


class Installer:
    """Plays mmdebstrap and mkosi: makes a tree in which dpkg's status says `status`."""

    def __init__(self, status: str) -> None:
        self.status = status
        self.sources = ""

    def __call__(self, argv: tuple[str, ...]) -> Completed:
        if "chown" in argv:
            return completed(argv)
        if "mmdebstrap" in argv:
            tree, self.sources = Path(argv[-2]), argv[-1]
        else:
            options = dict(part.removeprefix("--").split("=", 1) for part in argv if "=" in part)
            tree = Path(options["output-dir"]) / "tree"
            self.sources = (Path(options["sandbox-tree"]) / "etc/apt/sources.list.d/mkosi.sources").read_text()
        for name in ("usr/bin/cpio", "usr/lib/python3/__pycache__/cpio.pyc"):
            (tree / name).parent.mkdir(parents=True)
            (tree / name).write_bytes(b"bytes")
        (tree / "usr/bin/mt").symlink_to("cpio")
        (tree / "var/lib/dpkg").mkdir(parents=True)
        (tree / "var/lib/dpkg/status").write_text(self.status)
        return completed(argv)


class Refusing:
    """Plays an installer that fails with these words."""

    def __init__(self, *lines: str) -> None:
        self.said = "\n".join(lines).encode()

    def __call__(self, argv: tuple[str, ...]) -> Completed:
        return completed(argv, code=1, stdout=self.said)


def make(kind: str, folder: Path, installer: Installer | Refusing, lock: Lock) -> None:
    runner = FakeRunner(installer)
    stock = Debs(lock, folder / "debs")
    stock.folder.mkdir(exist_ok=True)
    for package in lock.packages:
        stock.path(package).write_bytes(deb(f"Package: {package.name}\n"))
    tree, log, report = folder / "trees/one", folder / "log", RecordedReport()
    if kind == "tools":
        make_tools(["apt", "cpio"], tree, stock, runner=runner, log=log, report=report)
    else:
        make_packages(folder, tree, stock, tools=Tools(folder / "tools", runner), log=log, report=report)


@pytest.mark.parametrize(
    ("kind", "said", "told"),
    [
        ("packages", "‣ os/mkosi.conf: Unknown setting Nonsense", "mkosi rejects the recipe."),
        ("packages", "E: dpkg failed", "mkosi could not install the packages."),
        ("tools", "E: dpkg failed", "mmdebstrap could not install the packages."),
        ("tools", "cp: x: No space left on device", "There is no space left"),
    ],
)
def test_a_tree_that_cannot_be_made_says_why_and_leaves_nothing(
    tmp_path: Path, kind: str, said: str, told: str
) -> None:
    with pytest.raises(BedplateError, match=told) as caught:
        make(kind, tmp_path, Refusing(said), LOCK)
    assert said in caught.value.details
    assert f"whole output: {tmp_path / 'log'}" in caught.value.details
    assert list((tmp_path / "trees").iterdir()) == []
    assert [path for path in (tmp_path / "debs").iterdir() if path.suffix != ".deb"] == []


@pytest.mark.parametrize("kind", ["tools", "packages"])
def test_a_tree_comes_from_the_local_repository_alone(tmp_path: Path, kind: str) -> None:
    installer = Installer(LOCKED)
    make(kind, tmp_path, installer, LOCK)
    sources = installer.sources
    assert sources.count("://") == 1
    assert f"://{tmp_path}/debs/.repository." in sources
    assert (tmp_path / "trees/one/var/lib/dpkg/status").read_text() == LOCKED


@pytest.mark.parametrize("kind", ["tools", "packages"])
def test_a_tree_that_is_not_as_locked_is_told_and_thrown_away(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UserError) as caught:
        make(kind, tmp_path, Installer(STALE), LOCK)
    assert caught.value.details == "cpio 1 -> 2"
    assert list((tmp_path / "trees").iterdir()) == []
    assert not list((tmp_path / "debs").glob(".repository.*"))


@pytest.mark.parametrize("kind", ["tools", "packages"])
def test_a_tree_as_it_was_made_is_whole_whatever_python_compiles(tmp_path: Path, kind: str) -> None:
    make(kind, tmp_path, Installer(LOCKED), LOCK)
    tree = tmp_path / "trees/one"
    (tree / "usr/lib/python3/__pycache__/cpio.pyc").write_bytes(b"compiled anew")
    (tree / "usr/lib/python3/__pycache__/more.pyc").touch()
    assert tree_damage(tree) == ""


@pytest.mark.parametrize("kind", ["tools", "packages"])
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda tree: (tree / "usr/bin/cpio").unlink(), "usr/bin/cpio is missing"),
        (lambda tree: (tree / "usr/bin/cpio").write_bytes(b""), "usr/bin/cpio has another size"),
        (lambda tree: (tree / "usr/bin/mt").unlink(), "usr/bin/mt is missing"),
        (lambda tree: (tree / RECORD).write_bytes(b""), "its record is empty"),
        (lambda tree: (tree / RECORD).unlink(), "its record cannot be read"),
    ],
    ids=["a file is gone", "a file is cut short", "a link is gone", "no record left", "no record"],
)
def test_a_damaged_tree_is_found_out_and_made_again(
    tmp_path: Path, kind: str, spoil: Callable[[Path], object], told: str
) -> None:
    make(kind, tmp_path, Installer(LOCKED), LOCK)
    spoil(tmp_path / "trees/one")
    assert tree_damage(tmp_path / "trees/one").startswith(told)
    make(kind, tmp_path, Installer(LOCKED), LOCK)
    assert tree_damage(tmp_path / "trees/one") == ""
    assert [path.name for path in (tmp_path / "trees").iterdir()] == ["one"]


def have(kind: str, folder: Path, installer: Installer) -> RecordedReport:
    """The tree as a build asks for it, with every package of the lock in the cache."""
    report, places = RecordedReport(), Places(cache=folder / "cache", state=folder / "state")
    recipe, runner = order(folder).recipe, FakeRunner(installer)
    stock = places.cache / "downloads/debs"
    stock.mkdir(parents=True, exist_ok=True)
    supply = Supply("http://m/debian", FakeDownloader({}), places, report)
    if kind == "tools":
        have_tools(recipe, supply, runner)
    else:
        have_packages(recipe, Tools(folder / "tools", runner), supply)
    return report


@pytest.mark.parametrize("kind", ["tools", "packages"])
def test_a_whole_tree_is_used_and_a_damaged_one_is_not(tmp_path: Path, kind: str) -> None:
    recipe = order(tmp_path).recipe
    places = Places(cache=tmp_path / "cache", state=tmp_path / "state")
    place = tools_place(recipe, LOCK, places)
    if kind == "packages":
        place = packages_place(recipe, LOCK, tmp_path / "tools", places)
    (place / "usr/bin").mkdir(parents=True)
    (place / "usr/bin/cpio").write_bytes(b"bytes")
    seal(place)
    installer = Installer(LOCKED)
    assert [reason for _, reason in have(kind, tmp_path, installer).skips] == ["already there"]
    (place / "usr/bin/cpio").unlink()
    with pytest.raises(BedplateError):  # it goes for the packages, which nobody serves here
        have(kind, tmp_path, installer)


def order(folder: Path, *, debug: bool = False) -> ImageOrder:
    recipe = folder / "os"
    if not recipe.exists():
        recipe.mkdir()
        (recipe / "mkosi.conf").write_text("[Content]\nPackages=\n    cpio\n")
        (recipe / "packages-tools.txt").write_text("cpio\n")
        for name in (PACKAGES, TOOLS):
            (recipe / name).write_text(write_lock(LOCK))
        (folder / "uv.lock").write_text(WHEELS)
        (folder / "keys").mkdir()
        (folder / "keys/db.crt").write_text("certificate")
    return ImageOrder(recipe, {}, VERSION, "http://m/debian", keys=folder / "keys", debug=debug)


def key(wanted: ImageOrder) -> str:
    assert wanted.keys
    return order_key(wanted, wanted.keys / "db.crt", wanted.recipe, wanted.recipe)


def test_a_development_image_never_takes_the_place_of_a_normal_one(tmp_path: Path) -> None:
    assert key(order(tmp_path)) != key(order(tmp_path, debug=True))


def test_an_image_is_another_when_its_lock_is(tmp_path: Path) -> None:
    before = key(order(tmp_path))
    (tmp_path / "os" / PACKAGES).write_text(write_lock(LOCK) + "zsh 1 all 1 ab debian/zsh.deb\n")
    assert key(order(tmp_path)) != before


def test_a_file_that_moves_within_the_recipe_makes_another_image(tmp_path: Path) -> None:
    (order(tmp_path).recipe / "a").mkdir()
    (tmp_path / "os/a/unit").write_text("x")
    before = key(order(tmp_path))
    (tmp_path / "os/a/unit").rename(tmp_path / "os/unit")
    assert key(order(tmp_path)) != before


def test_an_image_tells_the_beginning_of_its_day(tmp_path: Path) -> None:
    assert order(tmp_path).moment == datetime(2026, 11, 24, tzinfo=UTC)


def test_a_plan_with_empty_caches_runs_everything_and_changes_nothing(tmp_path: Path) -> None:
    places = Places(cache=tmp_path / "cache", state=tmp_path / "state")
    actions = plan_image(order(tmp_path), places=places, programs_there=True)
    assert [action.verb for action in actions] == [Verb.RUN] * 4
    assert not places.cache.exists()
