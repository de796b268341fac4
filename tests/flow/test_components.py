"""Components are built when the cache lacks them, and at no other time."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from bedplate.host.places import Places
from bedplate.host.run import Completed, SystemRunner
from bedplate.image.components.build import World, build_components
from bedplate.image.components.catalogue import Role
from bedplate.image.components.state import Receipt
from bedplate.image.components.toolchain import read_toolchain
from bedplate.model.errors import BedplateError, MachineError, PeerError, UserError
from bedplate.testing.clock import FakeClock
from bedplate.testing.download import FakeDownloader
from bedplate.testing.go import FakeGo
from bedplate.testing.machine import FakeMachine
from bedplate.testing.report import RecordedReport
from bedplate.testing.runner import FakeRunner, completed

ROOT = Path(__file__).parents[2]
DESCRIPTION = 'why = "{name}"\nseconds = 1\n[tools.{name}]\nrole = "{role}"\nwhy = "is needed"\n'
NETWORK_ERROR = "go: e.dev/hull@v1.0.0: Get https://proxy: dial tcp: lookup proxy: no such host"


@dataclass
class Yard:
    """A checkout with two components, an empty cache with a toolchain in it, and a go command that is a fake."""

    root: Path
    places: Places
    go: FakeGo = field(default_factory=FakeGo)
    report: RecordedReport = field(default_factory=RecordedReport)
    runner: FakeRunner = field(default_factory=FakeRunner)

    def describe(self, name: str, *, role: str = "image", version: str = "v1.0.0", more: str = "") -> None:
        folder = self.root / "components" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "go.mod").write_text(f"tool e.dev/{name}\nrequire e.dev/{name} {version}\n")
        (folder / "go.sum").write_text("")
        (folder / "component.toml").write_text(DESCRIPTION.format(name=name, role=role) + more)

    def build(self, *names: str, role: Role | None = None, thorough: bool = False) -> dict[str, Path]:
        self.go.built.clear()
        self.report = RecordedReport()
        world = World(self.go, FakeDownloader({}), FakeClock(), FakeMachine(), "")
        programs = build_components(
            names or None,
            root=self.root,
            places=self.places,
            runner=self.runner,
            report=self.report,
            role=role,
            thorough=thorough,
            world=world,
        )
        return dict(programs)

    def folders(self) -> set[str]:
        """All that is kept of builds, hidden or not."""
        return {path.parent.name for path in (self.places.cache / "components").glob("*/*")}


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    yard = Yard(tmp_path / "checkout", Places(tmp_path / "cache", tmp_path / "state"))
    yard.describe("hull")
    yard.describe("sail", role="cluster")
    (yard.root / "components/toolchain.toml").write_text('version = "1.0.0"\nsha256 = "00"\n')
    go = yard.places.cache / "toolchains/go1.0.0/bin/go"
    go.parent.mkdir(parents=True)
    go.touch()
    return yard


def alter(program: Path) -> None:
    program.chmod(0o755)
    program.write_text("other bytes")


def test_programs_are_found_by_their_names(yard: Yard) -> None:
    programs = yard.build()
    assert set(programs) == {"hull", "sail"}
    assert programs["hull"].read_text().startswith("e.dev/hull")


def test_what_is_there_is_not_built_again(yard: Yard) -> None:
    first = yard.build()
    assert yard.build() == first
    assert yard.go.built == []
    assert yard.report.skips == [("Components", "unchanged")]


def test_only_what_changed_is_built(yard: Yard) -> None:
    yard.build()
    yard.describe("hull", version="v1.0.1")
    yard.build()
    assert yard.go.built == ["hull"]
    assert yard.report.steps[0].notes[-1] == "v1.0.0 was built before; 1 packages compiled"


def test_a_role_builds_and_gives_only_its_tools(yard: Yard) -> None:
    assert set(yard.build(role=Role.IMAGE)) == {"hull"}
    assert yard.go.built == ["hull"]


def test_progress_counts_the_packages_that_have_to_be_compiled(yard: Yard) -> None:
    yard.build("hull")
    assert (yard.report.steps[0].amount, yard.report.steps[0].total) == (1, 1)


def test_an_altered_program_is_named_and_built_again(yard: Yard) -> None:
    programs = yard.build()
    alter(programs["hull"])
    yard.build()
    assert yard.go.built == ["hull"]
    assert f"{programs['hull']} differs from its receipt" in yard.report.steps[0].notes[-1]
    assert programs["hull"].read_text().startswith("e.dev/hull")


def test_a_lost_program_is_built_again(yard: Yard) -> None:
    yard.build()["sail"].unlink()
    assert yard.build()["sail"].exists()


@pytest.mark.parametrize("text", ["", "{}", "no JSON"])
def test_a_build_without_a_readable_receipt_is_not_believed(yard: Yard, text: str) -> None:
    receipt = yard.build()["hull"].parents[1] / "receipt.json"
    receipt.write_text(text)
    yard.build()
    assert yard.go.built == ["hull"]


def test_a_copied_cache_is_read_once_and_believed(yard: Yard, tmp_path: Path) -> None:
    yard.build()
    copy = Places(tmp_path / "copy", tmp_path / "state")
    shutil.copytree(yard.places.cache, copy.cache)
    yard.places = copy
    program = yard.build()["hull"]
    receipt = msgspec.json.decode((program.parents[1] / "receipt.json").read_bytes(), type=Receipt)
    assert yard.go.built == []
    assert receipt.binaries["hull"].ctime_ns == program.stat().st_ctime_ns


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (NETWORK_ERROR, PeerError),
        ("verifying e.dev/hull@v1.0.0: checksum mismatch\nSECURITY ERROR", PeerError),
        ("write work/x: no space left on device", MachineError),
        ("missing go.sum entry for module", UserError),
        ("hull.go:3: undefined: mast", MachineError),
    ],
)
def test_a_failed_build_says_whose_fault_it_is_and_leaves_nothing(
    yard: Yard, said: str, kind: type[BedplateError]
) -> None:
    yard.go.broken["hull"] = said
    with pytest.raises(kind) as error:
        yard.build("hull")
    assert said.splitlines()[0] in error.value.details
    assert yard.folders() == set()
    assert yard.report.outcomes() == {"Build hull v1.0.0": "failed"}


def test_an_interrupted_build_leaves_nothing(yard: Yard) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    yard.go.on_build = interrupt
    with pytest.raises(KeyboardInterrupt):
        yard.build("hull")
    assert yard.folders() == set()


def test_what_a_killed_build_left_is_removed_by_the_next(yard: Yard) -> None:
    entry = yard.build("hull")["hull"].parents[1]
    shutil.rmtree(entry)
    (entry.parent / f".{entry.name}.abcdef").mkdir()
    yard.build("hull")
    assert [path.name for path in entry.parent.iterdir()] == [entry.name]


def test_an_unknown_component_is_refused_before_anything_is_built(yard: Yard) -> None:
    with pytest.raises(UserError, match="no component mast"):
        yard.build("hull", "mast")
    assert yard.go.built == []


def test_two_components_with_the_same_tool_cannot_be_asked_for_at_once(yard: Yard) -> None:
    shutil.copytree(yard.root / "components/hull", yard.root / "components/hull-old")
    with pytest.raises(UserError, match="hull and hull-old both make hull"):
        yard.build()
    assert set(yard.build("hull-old")) == {"hull"}


CGO = '[cgo]\nlibraries = ["libsea"]\npackages = ["gcc", "libsea-dev"]\n'


def test_another_c_library_means_another_build(yard: Yard) -> None:
    yard.describe("hull", more=CGO)
    for version in ("1.0", "1.1"):
        yard.runner = FakeRunner(lambda argv, version=version: completed(argv, stdout=version.encode()))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        program = yard.build("hull")["hull"]
        assert yard.go.built == ["hull"]
    assert program.read_text().endswith("cgo=1\n")


def test_a_missing_c_library_is_told_with_the_packages_to_install(yard: Yard) -> None:
    def missing(argv: tuple[str, ...]) -> Completed:
        raise MachineError(f"{argv[0]} is not there.")

    yard.describe("hull", more=CGO)
    yard.runner = FakeRunner(missing)
    with pytest.raises(MachineError) as error:
        yard.build()
    assert "apt-get install gcc libsea-dev" in error.value.resolution
    assert yard.go.built == []


def _real_cache() -> Path:
    return Places.from_environment(os.environ).cache


def _why_not() -> str:
    """Why this machine cannot build the CNI plugins within seconds; empty when it can."""
    cache = _real_cache()
    if not read_toolchain(ROOT / "components").is_there(cache):
        return "needs the Go toolchain: run `bedplate components build cni`"
    if not (cache / "go/mod/cache/download/github.com/containernetworking/plugins").is_dir():
        return "needs the modules: run `bedplate components build cni`"
    return ""


@pytest.mark.skipif(bool(_why_not()), reason=_why_not() or "can run")
def test_the_same_inputs_give_the_same_bytes_wherever_they_lie(tmp_path: Path) -> None:
    shutil.copy(ROOT / "components/toolchain.toml", _made(tmp_path / "checkout/components"))
    shutil.copytree(ROOT / "components/cni", tmp_path / "checkout/components/cni")
    first, second = (_real_build(root, tmp_path) for root in (ROOT, tmp_path / "checkout"))
    assert first == second


def _real_build(root: Path, tmp_path: Path) -> dict[str, str]:
    """Build the CNI plugins with this machine's toolchain and compiled packages, into an empty cache."""
    cache = tmp_path / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    for name in ("go", "toolchains"):
        (_made(cache) / name).symlink_to(_real_cache() / name)
    places = Places(cache, tmp_path / "state")
    programs = build_components(["cni"], root=root, places=places, runner=SystemRunner(), report=RecordedReport())
    receipt = programs["bridge"].parents[1] / "receipt.json"
    built = msgspec.json.decode(receipt.read_bytes(), type=Receipt)
    return {name: binary.sha256 for name, binary in built.binaries.items()}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
