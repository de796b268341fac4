"""What people see of data: aligned columns, or JSON that programs can rely on."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import struct
import termios
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

import msgspec
import pytest

from bedplate.cli.context import started_in
from bedplate.cli.output import OutputFormat, as_json, as_table, cell, emit, room


class Mode(Enum):
    USER = "User"


@dataclass(frozen=True)
class Inner:
    minor: str


@dataclass(frozen=True)
class Pool:
    name: str
    node_count: int
    version: Inner


class Process(msgspec.Struct, frozen=True):
    name: str
    code: int | None


POOLS = [Pool("np1", 2, Inner("1.37")), Pool("system", 10, Inner("1.36"))]


def test_a_table_has_the_named_columns_in_line() -> None:
    assert as_table(POOLS, {"Name": "name", "Count": "node_count", "Minor": "version.minor"}) == (
        "Name    Count  Minor\n"
        "np1     2      1.37\n"
        "system  10     1.36\n"
    )  # fmt: skip


def test_without_named_columns_every_field_is_one() -> None:
    assert as_table([Process("etcd", None)]) == "Name  Code\netcd  -\n"


def test_one_value_stands_field_by_field() -> None:
    assert as_table(Process("etcd", 1)) == "Name:  etcd\nCode:  1\n"


def test_no_rows_leave_the_heading() -> None:
    assert as_table([], {"Name": "name"}) == "Name\n"


def test_wide_characters_keep_the_columns_in_line() -> None:
    assert as_table([Process("箱", 1), Process("box", 2)]).splitlines() == ["Name  Code", "箱    1", "box   2"]


def test_json_holds_the_whole_value() -> None:
    assert json.loads(as_json(POOLS))[1] == {"name": "system", "node_count": 10, "version": {"minor": "1.36"}}


def test_json_ends_with_a_line_end() -> None:
    assert as_json([]) == "[]\n"


def test_emit_writes_what_was_asked_for() -> None:
    file = io.StringIO()
    emit(Process("etcd", 0), output=OutputFormat.json, file=file)
    assert json.loads(file.getvalue()) == {"name": "etcd", "code": 0}


class Terminal(io.StringIO):
    """What is as a terminal to whoever asks."""

    def isatty(self) -> bool:
        return True


LONG = [Process("a name of some words", 1)]


def test_a_pipe_gets_lines_as_they_are() -> None:
    file = io.StringIO()
    with started_in({}):
        emit(LONG, output=OutputFormat.table, file=file)
    assert file.getvalue().splitlines()[1] == "a name of some words  1"


def test_where_columns_says_how_wide_lines_may_be_they_are() -> None:
    file = Terminal()
    with started_in({"COLUMNS": "16"}):
        emit(LONG, output=OutputFormat.table, file=file)
    assert file.getvalue().splitlines() == ["Name        Code", "a name of   1", "some words"]


def test_advice_in_a_table_can_be_typed_and_in_json_is_as_it_was() -> None:
    advice = [Process("bedplate release refresh", 1)]
    with started_in({"BEDPLATE_COMMAND": "./dev bedplate"}):
        assert "./dev bedplate release refresh  1" in as_table(advice)
        assert '"bedplate release refresh"' in as_json(advice)


@pytest.mark.parametrize("columns", ["0", "", "wide", "-1"])
def test_a_width_that_is_none_is_not_taken(columns: str) -> None:
    with started_in({"COLUMNS": columns}):
        assert room(io.StringIO()) is None


def test_a_terminal_says_itself_how_wide_it_is() -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    with started_in({}), os.fdopen(theirs, "w") as terminal:
        assert room(terminal) == 60
    os.close(ours)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ("", "-"),
        ([], "-"),
        (0, "0"),
        (True, "yes"),
        (False, "no"),
        (Mode.USER, "User"),
        (1.25, "1.2"),
        ({"a": "b", "c": "d"}, "a=b,c=d"),
        (("x", "y"), "x,y"),
        (Path("/usr"), "/usr"),
        (datetime(2026, 11, 24, 6, 45, tzinfo=UTC), "2026-11-24T06:45:00+00:00"),
    ],
)
def test_cells_read_as_people_write(value: object, text: str) -> None:
    assert cell(value) == text
