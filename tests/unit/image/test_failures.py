"""What it means when an installer fails is told by what it said."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.host.run import ProgramFailed
from bedplate.image.failures import CHARACTERS, of_installer, of_mkosi
from bedplate.model.errors import BedplateError, MachineError, UserError
from bedplate.testing.runner import completed

LOG, TREE = Path("/cache/logs/packages.log"), Path("/cache/packages/tree")
UNKNOWN = "‣ /root/os/mkosi.conf: Unknown setting Nonsense"
INNER = '‣ "apt-get install x" returned non-zero exit code 100.'
FULL = "cp: error writing 'x': No space left on device"


def failed(*lines: str) -> ProgramFailed:
    return ProgramFailed(completed(("mkosi",), code=1, stdout="\n".join(lines).encode()))


@pytest.mark.parametrize(
    ("lines", "kind", "brief"),
    [
        ([UNKNOWN], UserError, "mkosi rejects the recipe."),
        (["Reading package lists", INNER], MachineError, "mkosi could not install the packages."),
        ([FULL, INNER], MachineError, "There is no space left for /cache/packages/tree."),
        ([], MachineError, "mkosi could not install the packages."),
    ],
)
def test_whose_fault_it_is(lines: list[str], kind: type[BedplateError], brief: str) -> None:
    problem = of_mkosi(failed(*lines), TREE, LOG)
    assert (type(problem), problem.brief) == (kind, brief)
    assert problem.resolution


def test_the_last_lines_are_told_and_where_all_of_them_are() -> None:
    problem = of_installer("mmdebstrap", failed(*(f"line {number}" for number in range(20))), TREE, LOG)
    assert problem.details.splitlines() == [*(f"line {number}" for number in range(10, 20)), f"whole output: {LOG}"]


def test_a_line_that_nobody_would_read_is_cut() -> None:
    problem = of_installer("mmdebstrap", failed("x" * 5000), TREE, LOG)
    assert problem.details.splitlines()[0] == "x" * CHARACTERS + "…"
