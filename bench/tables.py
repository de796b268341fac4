"""Figures that belong into a table of their own: named `TABLE | ROW | COLUMN`, and set side by side for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bedplate.cli.columns import align
from bench.figures import Figure

BETWEEN = " | "


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure, and where it stands."""

    table: str
    row: str
    column: str
    figure: Figure

    @property
    def head(self) -> str:
        return f"{self.column}, {self.figure.unit}"


def entry(table: str, row: str, column: str, value: float, unit: str) -> Figure:
    """The figure of one cell."""
    return Figure(BETWEEN.join((table, row, column)), round(value, 2), unit)


def is_entry(figure: Figure) -> bool:
    return figure.name.count(BETWEEN) == 2


def side_by_side(figures: Iterable[Figure]) -> str:
    """The tables that the figures make, one below the other, in the order of the figures; empty when there is none."""
    cells = [_cell(figure) for figure in figures if is_entry(figure)]
    names = dict.fromkeys(cell.table for cell in cells)
    return "\n".join(align([*_lines(name, [cell for cell in cells if cell.table == name])]) for name in names)


def _cell(figure: Figure) -> Cell:
    table, row, column = figure.name.split(BETWEEN)
    return Cell(table, row, column, figure)


def _lines(name: str, cells: Sequence[Cell]) -> Iterator[tuple[str, ...]]:
    heads = dict.fromkeys(cell.head for cell in cells)
    found = {(cell.row, cell.head): f"{cell.figure.value:.2f}" for cell in cells}
    yield (name.capitalize(), *heads)
    for row in dict.fromkeys(cell.row for cell in cells):
        yield (row, *(found.get((row, head), "-") for head in heads))
