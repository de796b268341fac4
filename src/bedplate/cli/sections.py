"""Values of many parts, printed as titled tables one below the other."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bedplate.cli.columns import Cells, align, fit
from bedplate.cli.context import typed
from bedplate.cli.output import room

INDENT = "  "
STEP = 1000
UNITS = ("bytes", "kB", "MB", "GB")


@dataclass(frozen=True, slots=True)
class Section:
    """A title and its table; `heads` name the columns. Of an empty table nothing is shown, without one the title is."""

    title: str
    rows: Sequence[Cells] | None
    heads: Cells | None = None


def paragraph(title: str, text: str) -> Section:
    """A title and running text."""
    return Section(title, [(text,)])


def show(sections: Iterable[Section]) -> None:
    sys.stdout.write(as_text(sections, room(sys.stdout)))


def as_text(sections: Iterable[Section], width: int | None = None) -> str:
    """The sections with an empty line between them, their lines within `width` where there is one."""
    return "".join(_written(each, width) for each in sections).rstrip("\n") + "\n"


def _written(section: Section, width: int | None) -> str:
    if section.rows is None:
        return f"{section.title}\n\n"
    if not section.rows:
        return ""
    rows = [section.heads, *section.rows] if section.heads else section.rows
    rows = [tuple(map(typed, row)) for row in rows]
    if width:
        rows = fit(rows, width - len(INDENT), heads=section.heads is not None)
    return f"{section.title}\n{textwrap.indent(align(rows), INDENT)}\n"


def size(count: int) -> str:
    """Bytes as people read them: 512 bytes, 1.5 kB, 276.3 MB; in steps of 1000."""
    step = 0
    while abs(count) >= STEP ** (step + 1) and step < len(UNITS) - 1:
        step += 1
    return f"{count / STEP**step:.{1 if step else 0}f} {UNITS[step]}"


def signed(count: int) -> str:
    """A change in bytes, always with its sign."""
    return f"+{size(count)}" if count > 0 else size(count)
