"""What the agent's bundle leaves out, no module of ours that can be in it asks for."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from bedplate.host.run import SystemRunner
from tests.full_run import AGENT, ROOT, imported_by

SPEC = ROOT / "src/bedplate/image/agent.spec"


def left_out() -> set[str]:
    (names,) = (
        statement.value
        for statement in ast.parse(SPEC.read_text()).body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "UNUSED"
    )
    return set(ast.literal_eval(names))


def imports(file: Path) -> set[str]:
    found = set()
    for statement in ast.walk(ast.parse(file.read_text())):
        if isinstance(statement, ast.ImportFrom) and statement.module:
            found |= {statement.module, statement.module.partition(".")[0]}
        elif isinstance(statement, ast.Import):
            found |= {part for each in statement.names for part in (each.name, each.name.partition(".")[0])}
    return found


def test_nothing_that_the_agent_imports_is_left_out_of_its_bundle() -> None:
    own = list((ROOT / AGENT).rglob("*.py"))
    asked = {name: file for file in {*own, *imported_by(ROOT, own)} for name in imports(file)}
    assert {name: str(asked[name].relative_to(ROOT)) for name in left_out() & asked.keys()} == {}


def test_the_agent_loads_without_what_is_left_out() -> None:
    """Packages of others ask for some of it, and have to do without."""
    modules = ("__main__", "update.main", "health.gate", "health.gather", "report.watch", "report.gather")
    absent = f"import sys; sys.modules.update(dict.fromkeys({sorted(left_out())!r}))"
    loads = "; ".join(f"import bedplate.node.{each}" for each in modules)
    assert SystemRunner().run([sys.executable, "-c", f"{absent}; {loads}"]).text == ""
