"""Each tutorial does what it says: its commands, one after the other, in an empty home."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bedplate.cli.context import places
from bedplate.host.run import ProgramFailed, SystemRunner
from bedplate.testing.home import Home

pytestmark = pytest.mark.vm

ROOT = Path(__file__).parents[2]
PAGES = ("first-pool.md", "first-update.md")
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 3600.0


@pytest.mark.parametrize("page", PAGES)
def test_a_tutorial_runs_from_its_first_command_to_its_last(page: str, tmp_path: Path) -> None:
    commands = BLOCK.findall((ROOT / "docs/tutorial" / page).read_text())
    assert "./dev up" in "".join(commands[:2])
    assert "./dev down --all" in commands[-1]
    environment = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(places().cache.parent), "XDG_STATE_HOME": ""}
    runner = SystemRunner()
    try:
        runner.run(["bash", "-ex"], cwd=ROOT, env=environment, stdin="".join(commands).encode(), seconds=SECONDS)
    except ProgramFailed as problem:
        raise AssertionError(f"{problem.details}\n{Home(tmp_path / '.local/state').consoles()}") from problem
    finally:
        runner.run(["./dev", "down", "--all"], cwd=ROOT, env=environment)
