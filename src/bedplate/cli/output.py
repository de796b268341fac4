"""How results are printed: one table or one JSON value, from the same call.

Results go to standard output and nothing else does, so that `--output json` can be piped on.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum, StrEnum
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Protocol, TextIO, TypeAlias

import msgspec
import typer
from rich.cells import cell_len


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
    text = as_json(data) if output is OutputFormat.json else as_table(data, columns)
    (file or sys.stdout).write(text)


def as_json(data: Sequence[Row] | Row) -> str:
    encoded = msgspec.json.encode(data, enc_hook=str)
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


def as_table(data: Sequence[Row] | Row, columns: Mapping[str, str] | None = None) -> str:
    """Columns two spaces apart, never cut: a terminal wraps, a pipe gets everything."""
    if not isinstance(data, Sequence):
        chosen = columns or _all_columns(data)
        return align([(f"{head}:", cell(attrgetter(name)(data))) for head, name in chosen.items()])
    if not data:
        return align([tuple(columns)]) if columns else ""
    chosen = columns or _all_columns(data[0])
    return align([tuple(chosen), *(tuple(cell(attrgetter(n)(row)) for n in chosen.values()) for row in data)])


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


def align(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(cell_len(text) for text in column) for column in zip(*rows, strict=True)]
    return "".join(_line(row, widths) for row in rows)


def _line(row: tuple[str, ...], widths: Sequence[int]) -> str:
    padded = (text + " " * (width - cell_len(text)) for text, width in zip(row, widths, strict=True))
    return "  ".join(padded).rstrip() + "\n"
