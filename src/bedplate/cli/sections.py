"""Values of many parts, printed as titled tables one below the other, within 80 columns where words allow."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Sequence

from bedplate.cli.output import align

WIDTH, INDENT = 80, "  "
LAST_AT_LEAST = 24
STEP = 1000
UNITS = ("bytes", "kB", "MB", "GB")

Cells = tuple[str, ...]


def section(title: str, rows: Sequence[Cells], heads: Cells | None = None) -> str:
    """A title and its table, indented; nothing at all where there are no rows. Long last cells go on below."""
    if not rows:
        return ""
    table = [heads, *rows] if heads else list(rows)
    widths = [max(len(cell) for cell in column) + 2 for column in zip(*table, strict=True)]
    room = WIDTH - len(INDENT) - sum(widths[:-1])
    lines = [line for row in table for line in _wrapped(row, max(room, LAST_AT_LEAST))]
    return f"{title}\n{textwrap.indent(align(lines), INDENT)}\n"


def _wrapped(row: Cells, room: int) -> list[Cells]:
    *others, last = row
    first, *more = textwrap.wrap(last, room, break_long_words=False, break_on_hyphens=False) or [""]
    blank = ("",) * len(others)
    return [(*others, first), *((*blank, text) for text in more)]


def paragraph(title: str, text: str) -> str:
    """A title and running text."""
    return section(title, [(text,)])


def show(sections: Iterable[str]) -> None:
    sys.stdout.write("".join(sections).rstrip("\n") + "\n")


def size(count: int) -> str:
    """Bytes as people read them: 512 bytes, 1.5 kB, 276.3 MB; in steps of 1000."""
    step = 0
    while abs(count) >= STEP ** (step + 1) and step < len(UNITS) - 1:
        step += 1
    return f"{count / STEP**step:.{1 if step else 0}f} {UNITS[step]}"


def signed(count: int) -> str:
    """A change in bytes, always with its sign."""
    return f"+{size(count)}" if count > 0 else size(count)
