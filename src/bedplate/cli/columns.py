"""Text in columns, fitted into a width by folding cells, so that every line of a cell stays below its heading."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len

Cells = tuple[str, ...]
GAP = 2
PROSE, NAMES, LEAST = 24, 16, 8
"""So narrow columns become at first: those with spaces, those of long words, and all before words are cut anywhere."""
AT_SPACES = re.compile(r"(?<= )")
AT_MARKS = re.compile(r"(?<=[ \-/,=:])")
"""Where a word may be broken when it has to be: `Bedplate-|1.37-|amd64-|202611.24.0`."""
IN_HEADINGS = re.compile(r"(?<= )|(?<=[a-z])(?=[A-Z])")
"""`Provisioning|State`."""


def align(rows: Sequence[Cells]) -> str:
    """Columns two spaces apart, each as wide as its longest cell."""
    widths = [max(cell_len(text) for text in column) for column in zip(*rows, strict=True)]
    return "".join(_line(row, widths) for row in rows)


def _line(row: Cells, widths: Sequence[int]) -> str:
    padded = (text + " " * (width - cell_len(text)) for text, width in zip(row, widths, strict=True))
    return (" " * GAP).join(padded).rstrip() + "\n"


def fit(rows: Sequence[Cells], width: int, *, heads: bool = False) -> list[Cells]:
    """The rows with cells folded, so that they fit into `width`; more rows where cells take several lines.

    Headings (the first row, with `heads`) are folded first, then what has spaces, then words at their marks; only
    when that is not enough, words are cut anywhere.
    """
    columns = [(column[:1], column[1:]) if heads else ((), column) for column in zip(*rows, strict=True)]
    widths = [_longest((*head, *body)) for head, body in columns]
    stages = (
        [_longest(body) for _, body in columns],
        [_least(body, AT_SPACES, PROSE) for _, body in columns],
        [_least(body, AT_MARKS, NAMES) for _, body in columns],
        [_least(body, AT_MARKS, LEAST) for _, body in columns],
    )
    headings = [_least(head, IN_HEADINGS) for head, _ in columns]
    room = width - GAP * (len(widths) - 1)
    for stage in stages:
        widths = _narrowed(widths, list(map(max, stage, headings)), room)
    widths = _narrowed(widths, [LEAST] * len(widths), room)
    breaks = [IN_HEADINGS if heads else AT_MARKS, *[AT_MARKS] * (len(rows) - 1)]
    return [line for row, at in zip(rows, breaks, strict=True) for line in _folded(row, widths, at)]


def _longest(texts: Sequence[str]) -> int:
    return max(map(cell_len, texts), default=0)


def _least(texts: Sequence[str], breaks: re.Pattern[str], enough: int = 0) -> int:
    """The width of the longest piece; more when that is less than `enough` and the texts are longer."""
    pieces = [piece.rstrip() for text in texts for piece in breaks.split(text)]
    return max(_longest(pieces), min(enough, _longest(texts)))


def _narrowed(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """The widest columns made narrower until all fit, none below its least."""
    found = list(widths)
    while sum(found) > room:
        wide = [each for each in range(len(found)) if found[each] > least[each]]
        if not wide:
            break
        found[max(wide, key=found.__getitem__)] -= 1
    return found


def _folded(row: Cells, widths: Sequence[int], breaks: re.Pattern[str]) -> Iterator[Cells]:
    cells = [fold(text, width, breaks) for text, width in zip(row, widths, strict=True)]
    for number in range(max(map(len, cells))):
        yield tuple(lines[number] if number < len(lines) else "" for lines in cells)


def fold(text: str, width: int, breaks: re.Pattern[str] = AT_MARKS) -> list[str]:
    """The text in lines of at most `width`: words that are longer are broken, at `breaks` or else anywhere."""
    lines = [""]
    for word in AT_SPACES.split(text):
        for piece in [word] if cell_len(word.rstrip()) <= width else breaks.split(word):
            if cell_len((lines[-1] + piece).rstrip()) <= width:
                lines[-1] += piece
            else:
                lines += [piece[start : start + width] for start in range(0, len(piece), width)]
    return [line.rstrip() for line in lines if line.strip()] or [""]
