"""What machines of a local cluster are told of the repository that is served to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.cli.local import own_settings
from bedplate.local.releases import with_mirror
from bedplate.model.errors import UserError
from bedplate.node.settings import resolve

URL = "http://10.75.0.1:8470"


@pytest.mark.parametrize(
    "text",
    ["", "[source]\ncheck_seconds = 20\n", "source.check_seconds = 20\n", "[health]\nseconds = 5\n"],
    ids=["nothing", "the same table", "a key of it", "another table"],
)
def test_settings_in_any_form_get_the_mirror(text: str) -> None:
    resolved = resolve(with_mirror(text, URL).encode())
    assert resolved.source.mirrors == (URL,)
    assert (resolved.health, resolved.source.check_seconds) == (
        resolve(text.encode()).health,
        resolve(text.encode()).source.check_seconds,
    )


def test_mirrors_of_the_users_own_stay() -> None:
    settings = 'source.mirrors = ["https://releases.example"]\n'
    assert resolve(with_mirror(settings, URL).encode()).source.mirrors == ("https://releases.example",)


@pytest.mark.parametrize("text", ["[source", "source = 3"], ids=["not TOML", "not a table"])
def test_what_is_no_settings_gets_none(text: str) -> None:
    with pytest.raises(UserError):
        with_mirror(text, URL)


def test_a_file_that_an_agent_would_refuse_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("source.chek_seconds = 20\n")
    with pytest.raises(UserError, match=r"agent\.toml cannot be used") as refused:
        own_settings(file)
    assert "chek_seconds" in refused.value.details
