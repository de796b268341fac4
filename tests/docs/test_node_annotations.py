"""The page of a node's annotations has each of them, with the fields of the files that say the same."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import msgspec
import pytest

from bedplate.wire.desired import STATUS, Failed, Line, Status, Wish, annotations_of, wish_of

PAGE = (Path(__file__).parents[2] / "docs/reference/node-annotations.md").read_text()
ALL = Wish(version="v", channel="c", rollback=True, pinned=True, asked="now")
COMMANDS, FILES = re.findall(r"```sh\n(.*)\n```", PAGE), re.findall(r"```json\n(.*)\n```", PAGE)
TABLES = re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE)
KINDS: dict[str, object] = {
    "text": "string",
    "boolean": "boolean",
    "list": "array",
    "list of text": "array",
    "time": "string",
    "time or null": {"string", "null"},
}

what_it_tells = pytest.mark.parametrize(
    ("table", "kind"), [(1, Status), (2, Failed), (3, Line)], ids=["status", "failure", "line"]
)


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_each_annotation_has_its_row_beside_its_field() -> None:
    told = {name: field for field, name in zip(Wish.__struct_fields__, annotations_of(ALL), strict=True)}
    assert {row[0]: row[1] for row in rows(TABLES[0])} == {f"`{name}`": f"`{field}`" for name, field in told.items()}


def test_each_row_gives_a_value_that_says_so() -> None:
    for name, _, value, _ in rows(TABLES[0]):
        written = "true" if value.startswith('`"true"`') else "text"
        assert wish_of({name.strip("`"): written}) != Wish(), name


@what_it_tells
def test_each_field_of_what_it_tells_has_its_row(table: int, kind: type[msgspec.Struct]) -> None:
    assert [row[0] for row in rows(TABLES[table])] == [f"`{field}`" for field in kind.__struct_fields__]


@what_it_tells
def test_each_field_is_of_the_kind_that_its_row_says(table: int, kind: type[msgspec.Struct]) -> None:
    schema = msgspec.json.schema(kind)["$defs"][kind.__name__]["properties"]
    for name, value, _ in rows(TABLES[table]):
        given = schema[name.strip("`")]
        types = given.get("type") or {each.get("type") for each in given["anyOf"]}
        assert types == KINDS[value], name


def test_the_status_is_in_the_annotation_that_the_page_names() -> None:
    assert f"`{STATUS}`" in PAGE


def test_the_annotation_and_the_file_of_the_example_say_the_same() -> None:
    (file,) = FILES
    assert told_by(COMMANDS[0]) == msgspec.json.decode(file, type=Wish) != Wish()


@pytest.mark.parametrize(("command", "back"), [(1, False), (2, True)], ids=["try again", "go back"])
def test_the_examples_of_requests_can_be_used(command: int, *, back: bool) -> None:
    wish = told_by(COMMANDS[command])
    assert wish is not None
    assert (wish.rollback, bool(wish.asked)) == (back, True)
    assert back or "bedplate.dev/desired-rollback-" in COMMANDS[command].split()


def told_by(command: str) -> Wish | None:
    """What `kubectl annotate` makes known to the node."""
    return wish_of(dict(word.split("=", 1) for word in shlex.split(command) if "=" in word))
