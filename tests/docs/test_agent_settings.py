"""The page of the agent's settings names every one of them, and shows ones that can be used."""

import re
from pathlib import Path

import pytest

from bedplate.node.settings import Health, Leave, Settings, Source, resolve

PAGE = (Path(__file__).parents[2] / "docs/reference/agent-settings.md").read_text()
KEYS = [
    f"{table}.{key}"
    for table, kind in {"source": Source, "leave": Leave, "health": Health}.items()
    for key in kind.__struct_fields__
]


@pytest.mark.parametrize("key", KEYS)
def test_every_setting_has_its_row(key: str) -> None:
    assert f"| `{key}` |" in PAGE


def test_the_page_has_no_setting_that_there_is_not() -> None:
    assert sorted(re.findall(r"\| `((?:source|leave|health)\.\w+)` \|", PAGE)) == sorted(KEYS)


def test_the_example_can_be_used() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert resolve(example.encode()) != Settings()
