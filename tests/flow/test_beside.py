"""A program beside a block is there before it, and gone after it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bedplate.host.beside import beside
from bedplate.host.clock import Clock, SystemClock
from bedplate.model.errors import MachineError
from bedplate.testing.clock import FakeClock


def run(folder: Path, script: str, *, clock: Clock | None = None) -> AbstractContextManager[None]:
    """The script, which writes its process number first."""
    argv = ["sh", "-c", f"echo $$ >number; {script}"]
    return beside(argv, says="ready", log=folder / "log", cwd=folder, env={}, clock=clock or SystemClock())


def process(folder: Path) -> Path:
    return Path("/proc", (folder / "number").read_text().strip())


def test_it_runs_for_the_block_and_no_longer(tmp_path: Path) -> None:
    with run(tmp_path, "echo ready; exec sleep 60"):
        assert process(tmp_path).exists()
    assert not process(tmp_path).exists()


def test_it_ends_with_a_block_that_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), run(tmp_path, "echo ready; exec sleep 60"):
        dict[str, str]()["absent"]
    assert not process(tmp_path).exists()


def test_one_that_does_not_heed_that_is_killed(tmp_path: Path) -> None:
    with run(tmp_path, "trap '' TERM; echo ready; exec sleep 60", clock=SystemClock()):
        pass
    assert not process(tmp_path).exists()


def test_one_that_ends_at_once_is_told_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="sh did not start") as caught, run(tmp_path, "echo no such module; exit 1"):
        pass
    assert caught.value.details == "no such module"


def test_one_that_never_says_it_is_ready_is_ended(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="sh did not start"), run(tmp_path, "exec sleep 60", clock=FakeClock()):
        pass


def test_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(MachineError, match="absent did not start"),
        beside(["absent"], says="ready", log=tmp_path / "log", cwd=tmp_path, env={}, clock=SystemClock()),
    ):
        pass
