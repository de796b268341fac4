"""What of the cache stays and what goes, and why. Values in, a plan out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

RECENT = timedelta(hours=1)
"""Somebody who has just made a thing is about to use it, and holds no lock on the way from one to the other."""


class Kind(StrEnum):
    """The folders of the cache."""

    IMAGES = "images"
    TOOLS = "tools"
    PACKAGES = "packages"
    AGENT = "agent"
    COMPONENTS = "components"
    GO = "go"
    TOOLCHAINS = "toolchains"
    DOWNLOADS = "downloads"
    VENVS = "venvs"
    FIRMWARE = "firmware"
    LOGS = "logs"
    UV = "uv"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in the cache, which stays or goes as a whole.

    `name` is its place in the cache, `size` what it takes on the disk in bytes, `made` when it got its name.
    Of a `group`, as the images are one, the newest stays. `worth` says why it stays though nothing needs it,
    `lost` why it is of no use any more. What is `unfinished` was left by somebody who was killed.
    """

    kind: Kind
    name: str
    paths: tuple[Path, ...]
    size: int
    made: datetime
    about: str = ""
    group: str = ""
    worth: str = ""
    lost: str = ""
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the machine beside the cache.

    `used` maps paths to what leans on them, `wanted` are the entries that this checkout would take next, `busy` says
    of a kind who makes such things now.
    """

    now: datetime
    used: Mapping[Path, str] = field(default_factory=dict)
    wanted: frozenset[Path] = frozenset()
    busy: Mapping[Kind, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the entry stays, and the reason."""

    entry: Entry
    stays: bool
    reason: str


def make_plan(entries: Sequence[Entry], facts: Facts, *, everything: bool = False) -> tuple[Verdict, ...]:
    """A verdict on each entry; by kind, and first what goes.

    With `everything`, what could be made again goes too, as long as nothing leans on it.
    """
    newest = newest_of(entries)
    verdicts = [decide(each, facts, newest=newest, everything=everything) for each in entries]
    order = {kind: place for place, kind in enumerate(Kind)}
    return tuple(sorted(verdicts, key=lambda each: (order[each.entry.kind], each.stays, each.entry.name)))


def newest_of(entries: Sequence[Entry]) -> frozenset[str]:
    """The names of the newest of each group."""
    groups: dict[str, Entry] = {}
    for entry in entries:
        if entry.group and not entry.lost and not entry.unfinished:
            best = groups.setdefault(entry.group, entry)
            groups[entry.group] = max(best, entry, key=lambda each: (each.made, each.name))
    return frozenset(entry.name for entry in groups.values())


def decide(entry: Entry, facts: Facts, *, newest: frozenset[str], everything: bool) -> Verdict:
    """The first rung that holds decides; what nothing speaks for goes."""
    rungs = (
        (True, "not known to this version of Bedplate" if entry.kind is Kind.OTHER else ""),
        (True, facts.busy.get(entry.kind, "")),
        (True, user_of(entry, facts.used)),
        (False, "left by somebody who was killed" if entry.unfinished else ""),
        (False, "can be made again, and everything is to go" if everything else ""),
        (False, entry.lost),
        (True, "this checkout would take it" if facts.wanted.intersection(entry.paths) else ""),
        (True, entry.worth),
        (True, f"the newest of {entry.group}" if entry.name in newest else ""),
        (True, "made within the last hour" if facts.now - entry.made < RECENT else ""),
        (False, "nothing here needs it"),
    )
    stays, reason = next(rung for rung in rungs if rung[1])
    return Verdict(entry, stays, reason)


def user_of(entry: Entry, used: Mapping[Path, str]) -> str:
    """What leans on the entry or on something in it."""
    for path, user in sorted(used.items()):
        if any(path == own or own in path.parents for own in entry.paths):
            return user
    return ""
