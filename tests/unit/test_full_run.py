"""A full run is recorded once all tests have passed for the same files, in one go or in several."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.full_run import Progress, digest_of, read_record

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_what_passed_is_remembered_for_the_same_files_only(tmp_path: Path) -> None:
    Progress(tmp_path, "a" * 64).passes("t1", 2.04)
    assert Progress(tmp_path, "a" * 64).passed == {"t1": 2.0}
    assert Progress(tmp_path, "b" * 64).passed == {}


def test_nothing_is_recorded_while_a_test_is_missing(tmp_path: Path) -> None:
    progress = Progress(tmp_path, "a" * 64)
    progress.passes("t1", 1)
    assert not progress.record(["t1", "t2"], commit="c", now=NOW, path=tmp_path / "record")
    assert not progress.record([], commit="c", now=NOW, path=tmp_path / "record")
    assert not (tmp_path / "record").exists()


def test_the_record_names_files_commit_and_tests(tmp_path: Path) -> None:
    progress = Progress(tmp_path, "a" * 64)
    for test in ("t2", "t1", "gone"):
        progress.passes(test, 1)
    assert progress.record(["t1", "t2"], commit="c", now=NOW, path=tmp_path / "record")
    run = read_record(tmp_path / "record")
    assert (run.digest, run.commit, list(run.seconds)) == ("a" * 64, "c", ["t1", "t2"])


def test_the_digest_covers_paths_and_contents(tmp_path: Path) -> None:
    for path, content in (("os/a", "1"), ("README.md", "x"), ("os/__pycache__/b", "y")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    before = digest_of(tmp_path)
    (tmp_path / "README.md").write_text("z")
    (tmp_path / "os/__pycache__/b").write_text("z")
    assert digest_of(tmp_path) == before
    (tmp_path / "os/a").rename(tmp_path / "os/c")
    assert digest_of(tmp_path) != before
