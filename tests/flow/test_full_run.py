"""`pytest -m vm --record tests/boot` on a small checkout: what it counts, where it goes on, and when it records."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from bedplate.host.run import Completed, SystemRunner
from tests.full_run import ROOT, read_record

SOUND, BROKEN = "", "assert False"
TESTS = """
import os
import signal

import pytest

pytestmark = {marks}

@pytest.fixture
def machine():
    yield
    {at_its_end}

def test_without_machine(): pass

def test_with_machine(machine): pass
"""


@dataclass(frozen=True)
class Checkout:
    """`folder` has the tests' own files and two tests that say they boot machines."""

    folder: Path

    def write(self, *, at_its_end: str, marks: str = "pytest.mark.vm") -> None:
        text = TESTS.format(at_its_end=at_its_end or "pass", marks=marks)
        (self.folder / "tests/boot/test_machine.py").write_text(text)

    def run(self, *arguments: str) -> Completed:
        # A shell that starts the tests in the background makes them, and so these, ignore Ctrl-C.
        python = ["env", "--default-signal=INT", sys.executable, "-P"]
        argv = [*python, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        env = {
            "XDG_STATE_HOME": str(self.folder / "state"),
            "PYTHONPATH": str(self.folder),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        return SystemRunner().run(argv, cwd=self.folder, env=env, ok=range(6))

    def record(self) -> Completed:
        return self.run("-m", "vm", "--record", "tests/boot")

    @property
    def recorded(self) -> Path:
        return self.folder / "tests/boot/full-run.json"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    (tmp_path / "tests/boot").mkdir(parents=True)
    for name in ("pyproject.toml", "uv.lock", "tests/__init__.py", "tests/conftest.py", "tests/full_run.py"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / "tests/boot/conftest.py").touch()
    git = ["git", "-c", "user.name=n", "-c", "user.email=e", "-C", tmp_path]
    SystemRunner().run([*git, "init", "-q"])
    SystemRunner().run([*git, "commit", "-q", "--allow-empty", "--message=Begin"])
    return Checkout(tmp_path)


def test_a_test_whose_machine_was_in_trouble_at_its_end_has_not_passed(checkout: Checkout) -> None:
    checkout.write(at_its_end=BROKEN)
    done = checkout.record()
    assert "2 passed, 1 error" in done.text
    assert "Not recorded: 1 tests have yet to pass." in done.text
    assert not checkout.recorded.exists()


@pytest.mark.parametrize("which", ["SIGINT", "SIGTERM"])
def test_a_run_that_was_cut_short_goes_on_where_it_stopped(checkout: Checkout, which: str) -> None:
    checkout.write(at_its_end=f"os.kill(os.getpid(), signal.{which})")
    assert checkout.record().code == pytest.ExitCode.INTERRUPTED
    again = checkout.record()
    assert "collected 2 items / 1 deselected / 1 selected" in again.text


def test_a_run_goes_on_from_the_first_of_tests_that_count_on_each_other(checkout: Checkout) -> None:
    checkout.write(at_its_end=BROKEN, marks="[pytest.mark.vm, pytest.mark.in_order]")
    assert "2 passed, 1 error" in checkout.record().text
    assert "2 passed, 1 error" in checkout.record().text


def test_a_run_in_which_all_have_passed_is_recorded_and_not_repeated(checkout: Checkout) -> None:
    checkout.write(at_its_end=SOUND)
    assert "The full run is recorded." in checkout.record().text
    assert len(read_record(checkout.recorded).seconds) == 2
    checkout.recorded.unlink()
    again = checkout.record()
    assert (again.code, "2 deselected" in again.text) == (0, True)
    assert len(read_record(checkout.recorded).seconds) == 2


@pytest.mark.parametrize("part", ["tests/boot/test_machine.py", "-k=without"])
def test_a_part_of_the_tests_is_never_recorded_as_the_whole(checkout: Checkout, part: str) -> None:
    checkout.write(at_its_end=SOUND)
    done = checkout.run("-m", "vm", "--record", *([part] if part.endswith(".py") else ["tests/boot", part]))
    assert done.code == pytest.ExitCode.USAGE_ERROR
    assert not checkout.recorded.exists()
