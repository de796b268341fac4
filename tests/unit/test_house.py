"""The house keeps its own rules: each tool that judges the code is one test."""

from pathlib import Path

import pytest

from bedplate.host.run import SystemRunner

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "command",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",), ("lint-imports", "--no-cache")],
    ids=" ".join,
)
def test_the_code_passes(command: tuple[str, ...]) -> None:
    done = SystemRunner().run(command, cwd=ROOT, ok=(0, 1, 2))
    assert done.code == 0, done.text
