"""Carries out the plan, while nobody can build what it removes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bedplate.host.files import discard, remove_tree
from bedplate.host.locks import alone, is_held
from bedplate.host.report import Report
from bedplate.image.cache.plan import Kind, Verdict
from bedplate.model.errors import UserError

MAKERS = {
    "locks/image": (Kind.IMAGES, Kind.TOOLS, Kind.PACKAGES, Kind.AGENT, Kind.DOWNLOADS),
    "components.lock": (Kind.COMPONENTS, Kind.GO),
    "toolchains.lock": (Kind.TOOLCHAINS,),
}
"""Which lock in the cache whoever makes a kind of thing holds."""


def locks_of(cache: Path, users: Iterable[Path]) -> Mapping[Path, tuple[Kind, ...]]:
    """The makers' locks, and those of `users`, who take from the cache what they find there."""
    return {cache / name: kinds for name, kinds in MAKERS.items()} | dict.fromkeys(users, tuple(Kind))


def made_now(locks: Mapping[Path, tuple[Kind, ...]]) -> Mapping[Kind, str]:
    """The kinds whose lock somebody holds, with what that one does."""
    return {
        kind: f"Process {lock.read_text().strip()} is in the way."
        for lock, kinds in locks.items()
        if is_held(lock)
        for kind in kinds
    }


@contextmanager
def nobody_makes(locks: Mapping[Path, tuple[Kind, ...]]) -> Iterator[Mapping[Kind, str]]:
    """Hold the locks for a block; gives the kinds whose lock somebody else holds, as `made_now` does."""
    busy: dict[Kind, str] = {}
    with ExitStack() as held:
        for lock, kinds in locks.items():
            try:
                held.enter_context(alone(lock, doing="looking through the cache"))
            except UserError as problem:
                busy |= dict.fromkeys(kinds, problem.brief)
        yield busy


def remove(plan: Iterable[Verdict], report: Report) -> None:
    """Remove what is to go, each thing at once: whoever is killed here leaves leftovers, never half a thing."""
    for verdict in plan:
        if verdict.stays:
            continue
        with report.step(f"Remove {verdict.entry.name}"):
            for path in verdict.entry.paths:
                if path.is_dir() and not verdict.entry.unfinished:
                    discard(path)
                else:
                    remove_tree(path)
