"""A full run is recorded once all tests have passed for the same files, in one go or in several."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bedplate.image.agent import PACKAGES
from tests.full_run import ROOT, Progress, digest_for, digest_of, imported_by, node_parts, read_record

LOCKED = '[[package]]\nname = "{}"\nversion = "1"\nwheels = [{{ url = "{}-1-py3-none-any.whl", hash = "sha256:1" }}]\n'
NOW = datetime(2026, 11, 24, tzinfo=UTC)
T1, T2, OTHER = "tests/boot/test_a.py::t1", "tests/boot/test_a.py::t2", "tests/boot/test_b.py::t"


class Files:
    """What files of tests cover, as digests; a test changes them."""

    def __init__(self, **digests: str) -> None:
        self.digests = digests

    def __call__(self, tests: str) -> str:
        return self.digests[Path(tests).stem].ljust(64, "0")


@pytest.fixture
def files() -> Files:
    return Files(test_a="a", test_b="b")


@pytest.fixture
def progress(tmp_path: Path, files: Files) -> Progress:
    return Progress(tmp_path / "progress", files)


def test_what_passed_is_remembered_for_the_same_files_only(tmp_path: Path, files: Files, progress: Progress) -> None:
    progress.passes(T1, 2.04)
    progress.passes(OTHER, 1)
    files.digests["test_a"] = "c"
    later = Progress(tmp_path / "progress", files)
    assert [later.seconds(test) for test in (T1, OTHER)] == [None, 1.0]
    files.digests["test_a"] = "a"
    assert Progress(tmp_path / "progress", files).seconds(T1) == 2.0


def test_what_passes_after_a_file_has_changed_has_not_passed(files: Files, progress: Progress) -> None:
    assert progress.seconds(T1) is None
    files.digests["test_a"] = "c"
    progress.passes(T1, 1)
    assert progress.seconds(T1) is None


def test_nothing_is_recorded_while_a_test_is_missing(tmp_path: Path, progress: Progress) -> None:
    progress.passes(T1, 1)
    for wanted in ([T1, T2], []):
        assert not progress.record(wanted, digest="d", commit="c", now=NOW, path=tmp_path / "record")
    assert not (tmp_path / "record").exists()


def test_the_record_names_files_commit_and_tests(tmp_path: Path, progress: Progress) -> None:
    for test in (T2, T1, OTHER):
        progress.passes(test, 1)
    assert progress.record([T1, OTHER], digest="d", commit="c", now=NOW, path=tmp_path / "record")
    run = read_record(tmp_path / "record")
    assert (run.digest, run.commit, list(run.seconds)) == ("d", "c", [T1, OTHER])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small one: a node whose agent takes its clock from another room, and two files of tests."""
    texts = {
        "os/version": "1",
        "os/__pycache__/version": "",
        "os/.version.swp": "",
        "os/version~": "",
        "README.md": "",
        "src/bedplate/node/main.py": "from bedplate.host.clock import now",
        "src/bedplate/host/clock.py": "from bedplate.model import time",
        "src/bedplate/model/time.py": "",
        "src/bedplate/host/jobs.py": "",
        "src/bedplate/testing/vm.py": "import bedplate.host.jobs",
        "tests/boot/conftest.py": "",
        "tests/boot/test_a.py": "import bedplate.testing.vm",
        "tests/boot/test_b.py": "",
        "tests/boot/full-run.json": "",
    }
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    wheels = [LOCKED.format(name, name) for name in PACKAGES]
    (tmp_path / "uv.lock").write_text("".join(wheels))
    return tmp_path


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("os/version", "the run, a and b"),
        ("src/bedplate/node/main.py", "the run, a and b"),
        ("src/bedplate/host/clock.py", "the run, a and b"),
        ("src/bedplate/model/time.py", "the run, a and b"),
        ("tests/boot/conftest.py", "the run, a and b"),
        ("tests/boot/test_a.py", "the run and a"),
        ("src/bedplate/testing/vm.py", "the run and a"),
        ("src/bedplate/host/jobs.py", "nothing"),
        ("os/__pycache__/version", "nothing"),
        ("os/.version.swp", "nothing"),
        ("os/version~", "nothing"),
        ("tests/boot/full-run.json", "nothing"),
        ("README.md", "nothing"),
    ],
)
def test_a_run_is_of_nodes_and_of_tests_as_they_are(checkout: Path, path: str, changes: str) -> None:
    before = digests(checkout)
    with (checkout / path).open("a") as file:
        file.write("\n")
    changed = {name for name, digest in digests(checkout).items() if digest != before[name]}
    assert (
        changed
        == {
            "nothing": set(),
            "the run and a": {"run", "test_a"},
            "the run, a and b": {"run", "test_a", "test_b"},
        }[changes]
    )


def digests(root: Path) -> dict[str, str]:
    tests = {name: digest_for(root, f"tests/boot/{name}.py") for name in ("test_a", "test_b")}
    return {"run": digest_of(root), **tests}


def test_a_file_that_is_renamed_changes_the_digest(checkout: Path) -> None:
    before = digest_of(checkout)
    (checkout / "os/version").rename(checkout / "os/versions")
    assert digest_of(checkout) != before


def test_of_the_lock_only_what_the_agent_has_counts() -> None:
    locked = {name.split()[1].partition("-")[0] for name in node_parts(ROOT) if name.startswith("uv.lock ")}
    assert {"pyinstaller", "msgspec", "pyyaml"} <= locked
    assert not locked & {"rich", "typer", "pytest"}


def test_the_agent_brings_what_it_imports_and_no_more() -> None:
    found = {str(path.relative_to(ROOT)) for path in imported_by(ROOT, (ROOT / "src/bedplate/node").rglob("*.py"))}
    assert {"src/bedplate/host/clock.py", "src/bedplate/model/network.py"} <= found
    assert "src/bedplate/host/jobs.py" not in found
