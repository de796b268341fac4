"""The page docs/reference/cli.md, made from the commands themselves: `python -m bedplate.cli.reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

from typer.main import get_command

from bedplate.cli.main import app

HEAD = """# Commands

Made from the commands by `python -m bedplate.cli.reference > docs/reference/cli.md`; a test keeps it current.
[Exit codes](exit-codes.md) are the same for all of them.
"""
WIDTH = 80


def render() -> str:
    return "\n".join([HEAD, *(f"## {' '.join(path)}\n\n```text\n{text}```\n" for path, text in pages())])


def pages() -> Iterator[tuple[Sequence[str], str]]:
    """Each command with its help, as a terminal of 80 columns shows it."""
    yield from _walk(get_command(app), ("bedplate",), None)


def _walk(command: object, path: tuple[str, ...], parent: object) -> Iterator[tuple[Sequence[str], str]]:
    make = command.make_context  # type: ignore[attr-defined]  # the library keeps its command classes private
    context = make(path[-1], [], parent=parent, resilient_parsing=True, max_content_width=WIDTH, terminal_width=WIDTH)
    yield path, context.get_help() + "\n"
    inner: Mapping[str, object] = getattr(command, "commands", {})
    for name, each in inner.items():
        yield from _walk(each, (*path, name), context)


if __name__ == "__main__":
    sys.stdout.write(render())
