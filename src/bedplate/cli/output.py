"""How results are printed: one table or one JSON value, from the same call.

Results go to standard output and nothing else does, so that `--output json` can be piped on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum, StrEnum
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Protocol, TextIO, TypeAlias

import msgspec
import typer

from bedplate.cli.columns import align, fit
from bedplate.cli.context import environment, typed

USUAL_WIDTH = 80


class OutputFormat(StrEnum):
    """`table` is for people and may change; `json` is for programs and only grows."""

    table = "table"
    json = "json"


OutputOption: TypeAlias = Annotated[
    OutputFormat, typer.Option("--output", "-o", help="Print a table or JSON.", show_default=True)
]
"""The option of every command that prints data: `output: OutputOption = OutputFormat.table`."""


class Dataclass(Protocol):
    """Any instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


Row: TypeAlias = msgspec.Struct | Dataclass


def emit(
    data: Sequence[Row] | Row,
    *,
    output: OutputFormat,
    columns: Mapping[str, str] | None = None,
    file: TextIO | None = None,
) -> None:
    """Print many rows, or one value with its fields below each other.

    `columns` maps a header to an attribute (dots reach inside); without it every field is a column.
    JSON holds whole values whatever the columns are.
    """
    file = file or sys.stdout
    file.write(as_json(data) if output is OutputFormat.json else as_table(data, columns, width=room(file)))


def room(file: TextIO) -> int | None:
    """How wide lines may be: what COLUMNS says, else as wide as the terminal; None where `file` is none."""
    said = environment().get("COLUMNS", "")
    if said.isdecimal() and int(said):
        return int(said)
    if not file.isatty():
        return None
    return os.get_terminal_size(file.fileno()).columns or USUAL_WIDTH


def as_json(data: Sequence[Row] | Row) -> str:
    encoded = msgspec.json.encode(data, enc_hook=str)
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


def as_table(data: Sequence[Row] | Row, columns: Mapping[str, str] | None = None, *, width: int | None = None) -> str:
    """Columns two spaces apart, folded into `width` where there is one; nothing is ever cut off."""
    many = isinstance(data, Sequence)
    rows = _rows(data, columns) if isinstance(data, Sequence) else _fields(data, columns)
    return align(fit(rows, width, heads=many) if width and rows else rows)


def _fields(row: Row, columns: Mapping[str, str] | None) -> list[tuple[str, ...]]:
    chosen = columns or _all_columns(row)
    return [(f"{head}:", typed(cell(attrgetter(name)(row)))) for head, name in chosen.items()]


def _rows(data: Sequence[Row], columns: Mapping[str, str] | None) -> list[tuple[str, ...]]:
    if not data:
        return [tuple(columns)] if columns else []
    chosen = columns or _all_columns(data[0])
    return [tuple(chosen), *(tuple(typed(cell(attrgetter(name)(row))) for name in chosen.values()) for row in data)]


def cell(value: object) -> str:
    """A value as people read it in a table; what is absent is a dash."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value in (None, "", (), [], {}):
        return "-"
    return _written(value)


def _written(value: object) -> str:
    match value:
        case Enum():
            return cell(value.value)
        case float():
            return f"{value:.1f}"
        case datetime():
            return value.isoformat(timespec="seconds")
        case Mapping():
            return ",".join(f"{key}={item}" for key, item in value.items())
        case list() | tuple() | set() | frozenset():
            return ",".join(cell(item) for item in value)
        case _:
            return str(value)


def _all_columns(row: Row) -> dict[str, str]:
    names = list(row.__struct_fields__) if isinstance(row, msgspec.Struct) else list(row.__dataclass_fields__)
    return {_heading(name): name for name in names}


def _heading(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]
