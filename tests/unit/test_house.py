"""The house keeps its own rules: each tool that judges the code is one test."""

import ast
import tomllib
from fnmatch import fnmatch
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


def claims_purity(path: Path) -> bool:
    said = ast.get_docstring(ast.parse(path.read_text())) or ""
    return any(words in said for words in ("Pure", "Values only", "values only", "No files and no clock", "no I/O"))


def test_what_calls_itself_pure_is_held_to_it() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    held = next(each["source_modules"] for each in contracts if each["name"] == "Decisions do no I/O")
    source = ROOT / "src"
    claimed = {
        ".".join(path.relative_to(source).with_suffix("").parts)
        for path in source.rglob("*.py")
        if claims_purity(path) and "testing" not in path.parts
    }
    loose = {name for name in claimed if not any(fnmatch(f"{name}.", f"{each.replace('**', '*')}.*") for each in held)}
    assert claimed
    assert loose == set()
