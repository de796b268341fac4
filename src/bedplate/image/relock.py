"""Writes the locks anew from what Debian has now, and gives the image a new version when packages changed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import msgspec

from bedplate.host.files import write_atomically
from bedplate.host.places import Places
from bedplate.host.report import Report
from bedplate.host.run import Runner
from bedplate.image.lock import PACKAGES, TOOLS, Lock, read_lock, write_lock
from bedplate.image.recipe import package_names, tool_names
from bedplate.image.resolve import Index
from bedplate.model.errors import UserError
from bedplate.model.versions import next_made


class Change(msgspec.Struct, frozen=True):
    """One package whose locked version changed; `old` or `new` is empty where it comes or goes."""

    lock: str
    package: str
    old: str
    new: str


def relock(
    recipe: Path, *, mirror: str, today: date, places: Places, runner: Runner, report: Report
) -> tuple[Change, ...]:
    """Lock what the mirror has now. Files are only written where packages changed."""
    places.cache.mkdir(parents=True, exist_ok=True)
    with report.step("Ask the mirror what it has"), tempfile.TemporaryDirectory(dir=places.cache) as work:
        index = Index(mirror, Path(work), runner)
        index.update()
        found = {PACKAGES: index.resolve(package_names(recipe)), TOOLS: index.resolve(tool_names(recipe))}
    return tuple(change for name, lock in found.items() for change in renew(recipe, name, lock, today))


def renew(recipe: Path, name: str, lock: Lock, today: date) -> tuple[Change, ...]:
    """Write one lock and, when it is that of the image and there was one before, the image's version."""
    path = recipe / name
    old = known(path)
    changes = compare(name, old, lock)
    if old is None or old.digest != lock.digest:
        write_atomically(path, write_lock(lock).encode())
        if name == PACKAGES and old is not None:
            made = (recipe / "version").read_text().strip()
            write_atomically(recipe / "version", f"{next_made(made, today)}\n".encode())
    return changes


def known(path: Path) -> Lock | None:
    """The lock as it was; a damaged one is as good as none."""
    try:
        return read_lock(path.read_text(), path.name)
    except (FileNotFoundError, UserError):
        return None


def compare(name: str, old: Lock | None, new: Lock) -> tuple[Change, ...]:
    """What changed from `old` to `new`, by package."""
    before: Mapping[str, str] = {each.name: each.version for each in old.packages} if old else {}
    after = {each.name: each.version for each in new.packages}
    names = sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))
    return tuple(Change(name, n, before.get(n, ""), after.get(n, "")) for n in names)
