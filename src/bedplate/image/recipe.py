"""What a recipe folder (os/) asks for: names of packages, and the locks that answer with versions."""

from __future__ import annotations

from pathlib import Path

from bedplate.image.lock import (
    AGAIN,
    PACKAGES,
    TOOLS,
    Lock,
    names_of,
    names_of_mkosi,
    read_lock,
    require_named,
)
from bedplate.image.usr import UsrRules, parse_debug, parse_rules, with_debug
from bedplate.model.errors import UserError

PARTS = (
    "mkosi.conf",
    "usr.toml",
    "debug.toml",
    "packages-tools.txt",
    "version",
    "cmdline",
    "usr",
    "debug/usr",
    "esp",
    "repart",
    "../uv.lock",
)
"""What every recipe has, besides the locks, which can be made."""


def require_whole(recipe: Path) -> None:
    """A `UserError` that names every part which the recipe lacks, before anything is built of it."""
    missing = [part for part in PARTS if not (recipe / part).exists()]
    if missing:
        raise UserError(
            f"{recipe} is not a whole recipe.",
            details="\n".join(f"{part} is missing" for part in missing),
            resolution="Name a checkout of Bedplate with --root, or bring the files back from git.",
        )


def package_names(recipe: Path) -> tuple[str, ...]:
    return names_of_mkosi((recipe / "mkosi.conf").read_text())


def tool_names(recipe: Path) -> tuple[str, ...]:
    """The packages of the tools tree; apt comes along, since mkosi installs the other tree with it."""
    return ("apt", *names_of((recipe / "packages-tools.txt").read_text()))


def packages_lock(recipe: Path) -> Lock:
    """What the package tree is made of: it has all that mkosi.conf asks for."""
    return _lock(recipe, PACKAGES, package_names(recipe))


def tools_lock(recipe: Path) -> Lock:
    return _lock(recipe, TOOLS, tool_names(recipe))


def read_rules(recipe: Path, *, debug: bool) -> UsrRules:
    """The rules for /usr; with what a development image has besides, if asked."""
    rules = parse_rules((recipe / "usr.toml").read_bytes())
    return with_debug(rules, parse_debug((recipe / "debug.toml").read_bytes())) if debug else rules


def _lock(recipe: Path, name: str, wanted: tuple[str, ...]) -> Lock:
    try:
        lock = read_lock((recipe / name).read_text(), name)
    except FileNotFoundError as problem:
        raise UserError(f"{recipe / name} is missing.", resolution=AGAIN) from problem
    require_named(lock, wanted, name)
    return lock
