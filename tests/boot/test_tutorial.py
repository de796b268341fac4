"""The tutorial does what it says: its commands, one after the other, in an empty home."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bedplate.cli.context import places
from bedplate.host.run import ProgramFailed, SystemRunner
from bedplate.testing.home import Home

pytestmark = pytest.mark.vm

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/tutorial/first-pool.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 3600.0


def test_the_tutorial_runs_from_its_first_command_to_its_last(tmp_path: Path) -> None:
    commands = BLOCK.findall(PAGE.read_text())
    assert commands[0].startswith("./dev up")
    assert "./dev down --all" in commands[-1]
    environment = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(places().cache.parent), "XDG_STATE_HOME": ""}
    runner = SystemRunner()
    try:
        runner.run(["bash", "-ex"], cwd=ROOT, env=environment, stdin="".join(commands).encode(), seconds=SECONDS)
    except ProgramFailed as problem:
        raise AssertionError(f"{problem.details}\n{Home(tmp_path / '.local/state').consoles()}") from problem
    finally:
        runner.run(["./dev", "down", "--all"], cwd=ROOT, env=environment)
