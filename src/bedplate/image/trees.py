"""Whether a tree of packages in the cache is all there, as far as names and sizes tell.

What is in the files is not read: that would take longer than most builds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from bedplate.host.files import write_atomically

RECORD = ".files"
FORM = "with a record of its files"
"""Part of a tree's name in the cache: what was made without a record is not taken for damaged."""
KEPT = ("usr", "var/lib/dpkg")
"""Where nothing changes any more once a tree is made."""
COMPILED = "__pycache__"
"""But for these, which Python writes anew as it likes."""


def seal(tree: Path) -> None:
    """Write down what is in a tree that was just made, one line for each file and link: size and path."""
    lines = sorted(f"{path.lstat().st_size} {path.relative_to(tree)}" for path in _files(tree))
    write_atomically(tree / RECORD, "".join(f"{line}\n" for line in lines).encode())


def tree_damage(tree: Path) -> str:
    """What is wrong with a tree that was sealed, in one line; empty when nothing is."""
    try:
        lines = (tree / RECORD).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        return f"its record cannot be read: {problem}"
    return next(_wrong(tree, lines), "") if lines else "its record is empty"


def _wrong(tree: Path, lines: list[str]) -> Iterator[str]:
    for line in lines:
        size, _, name = line.partition(" ")
        try:
            found = os.lstat(tree / name).st_size
        except OSError:
            yield f"{name} is missing"
        else:
            if str(found) != size:
                yield f"{name} has another size"


def _files(tree: Path) -> Iterator[Path]:
    for part in KEPT:
        for folder, folders, names in os.walk(tree / part):
            links = [name for name in folders if Path(folder, name).is_symlink()]
            folders[:] = [name for name in folders if name != COMPILED]
            yield from (Path(folder, name) for name in (*names, *links))
