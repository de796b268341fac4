"""Reads what Bedplate needs of a go.mod file: requirements and tools (https://go.dev/ref/mod#go-mod-file)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GoMod:
    """`requires` maps module paths to versions; `tools` are package paths in the file's order."""

    requires: Mapping[str, str]
    tools: tuple[str, ...]

    def module_of(self, package: str) -> str | None:
        """The required module that holds `package`: the longest path that it starts with."""
        holders = [module for module in self.requires if package == module or package.startswith(f"{module}/")]
        return max(holders, key=len, default=None)


def parse_go_mod(text: str) -> GoMod:
    requires, tools = {}, []
    for verb, words in _directives(text):
        if verb == "require":
            requires[words[0]] = words[1]
        elif verb == "tool":
            tools.append(words[0])
    return GoMod(requires, tuple(tools))


def executable_name(package: str) -> str:
    """What `go build` calls the program of a package: its last word that is not a major version."""
    words = package.split("/")
    last = words[-1]
    versioned = last.startswith("v") and last[1:].isdigit() and int(last[1:]) >= 2 and len(words) > 1
    return words[-2] if versioned else last


def _directives(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each directive as verb and words, whether it stands alone or in a block."""
    block = ""
    for line in text.splitlines():
        words = line.split("//", maxsplit=1)[0].split()
        if not words:
            continue
        if block and words == [")"]:
            block = ""
        elif block:
            yield block, words
        elif words[1:] == ["("]:
            block = words[0]
        else:
            yield words[0], words[1:]
