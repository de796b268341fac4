"""Pages say what is so: every dependency has its reason, every link leads somewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def asked_for() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"].values()
    wanted = [*project["project"]["dependencies"], *(each for group in groups for each in group)]
    return {re.split(r"[^A-Za-z0-9._-]", requirement)[0] for requirement in wanted}


def test_every_dependency_has_its_line_and_no_other_has() -> None:
    page = (ROOT / "docs" / "explanation" / "dependencies.md").read_text()
    assert set(re.findall(r"^\| ([a-z0-9._-]+) \|", page, re.MULTILINE)) - {"package"} == asked_for()


def test_every_decision_is_in_the_index() -> None:
    records = {path.name for path in (ROOT / "docs" / "adr").glob("[0-9]*.md")}
    assert set(LINK.findall((ROOT / "docs" / "adr" / "index.md").read_text())) == records


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in targets if not (page.parent / link).exists()] == []
