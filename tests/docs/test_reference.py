"""The reference pages say what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bedplate.cli.main import INTERRUPTED, PIPE_CLOSED
from bedplate.cli.reference import WIDTH, pages, render
from bedplate.host.run import SystemRunner
from bedplate.model.errors import BedplateError, MachineError, OurError, PeerError, UserError

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def codes() -> list[str]:
    rows = (REFERENCE / "exit-codes.md").read_text().splitlines()
    return [row for row in rows if row.startswith("|")]


def test_the_page_of_commands_is_current() -> None:
    assert (REFERENCE / "cli.md").read_text() == render(), "python -m bedplate.cli.reference > docs/reference/cli.md"


def test_help_fits_a_terminal_of_80_columns() -> None:
    assert [line for _, text in pages() for line in text.splitlines() if len(line) > WIDTH] == []


def test_options_name_what_they_take_and_not_its_type() -> None:
    lines = [line for _, text in pages() for line in text.partition("Options:")[2].splitlines()]
    assert [line for line in lines if re.search(r" <(str|int|path|int range)>", line)] == []


def test_every_command_is_told_in_one_line_of_its_list() -> None:
    lists = [text.partition("Commands:")[2] for _, text in pages()]
    assert [line for text in lists for line in text.splitlines() if line.endswith("...")] == []


@pytest.mark.parametrize("kind", [UserError, MachineError, PeerError, OurError])
def test_every_kind_of_error_has_its_exit_code_there(kind: type[BedplateError]) -> None:
    assert any(row.startswith(f"| {kind.exit_code} |") and f"`{kind.__name__}`" in row for row in codes())


@pytest.mark.parametrize("code", [0, INTERRUPTED, PIPE_CLOSED])
def test_the_other_exit_codes_are_there(code: int) -> None:
    assert any(str(code) in row.split("|")[1].replace(",", " ").split() for row in codes())


def test_the_help_of_the_one_script_fits_too() -> None:
    said = SystemRunner().run([ROOT / "dev", "help"]).text
    assert [line for line in said.splitlines() if len(line) > WIDTH] == []
