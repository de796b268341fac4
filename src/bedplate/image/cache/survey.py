"""Looks through the cache: what there is, how large and how old."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from bedplate.image.cache.plan import Entry, Kind
from bedplate.image.manifest import read_manifest
from bedplate.model.errors import MachineError

BLOCK = 512
"""The unit of st_blocks (stat(2))."""
GO_WORTH = {"build": "what is compiled: 12 minutes to do again", "mod": "modules: a download and 12 minutes"}
PLAIN = {Kind.FIRMWARE: "variables of machines' firmware", Kind.LOGS: "the last of each", Kind.UV: "./dev needs it"}
LOCKS = "locks"
GONE = datetime.min.replace(tzinfo=UTC)
"""When what vanishes while we look was made: a build may be at work."""


class Origin(msgspec.Struct, frozen=True):
    """Where an installed package came from (PEP 610)."""

    url: str


def survey(cache: Path, wanted: frozenset[Path], kinds: Collection[Kind]) -> tuple[Entry, ...]:
    """Everything of these kinds in the cache. Downloads are two entries: those in `wanted` and the others."""
    found = (entry for kind in Kind if kind in kinds for entry in entries_of(kind, cache, wanted))
    return tuple(entry for entry in found if entry.made > GONE)


def entries_of(kind: Kind, cache: Path, wanted: frozenset[Path]) -> Iterable[Entry]:
    inside = folders(cache / kind)
    found: Iterable[Entry]
    match kind:
        case Kind.COMPONENTS:
            found = [entry for folder in inside for entry in component(cache, folder)]
        case Kind.GO:
            found = [go(cache, folder) for folder in inside]
        case Kind.DOWNLOADS:
            found = downloads(cache, wanted)
        case Kind.VENVS:
            found = [venv(cache, folder) for folder in inside]
        case Kind.FIRMWARE | Kind.LOGS | Kind.UV:
            found = [entry(cache, kind, cache / kind, worth=PLAIN[kind])] if is_ours(cache / kind) else ()
        case Kind.OTHER:
            found = others(cache)
        case _:
            found = keyed(cache, kind)
    return found


def keyed(cache: Path, kind: Kind) -> Iterator[Entry]:
    """Folders that are named by what they were made of."""
    for folder in folders(cache / kind):
        about = version_of(folder) if kind is Kind.IMAGES else ""
        yield entry(cache, kind, folder, about=about, group=str(kind))


def version_of(image: Path) -> str:
    try:
        manifest = read_manifest(image)
    except MachineError:
        return "not whole"
    return f"{manifest.version}{' with a console' if manifest.debug else ''}"


def component(cache: Path, folder: Path) -> Iterator[Entry]:
    for build in folders(folder):
        yield entry(cache, Kind.COMPONENTS, build, group=f"{Kind.COMPONENTS}/{folder.name}")


def go(cache: Path, folder: Path) -> Entry:
    return entry(cache, Kind.GO, folder, worth=GO_WORTH.get(folder.name, ""))


def downloads(cache: Path, wanted: frozenset[Path]) -> Iterator[Entry]:
    """Packages as fetched: those of this checkout's locks, those of none, and what was left half way."""
    kept = cache / Kind.DOWNLOADS
    for folder in folders(kept):
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        for needed, label in ((True, "locked"), (False, "not locked")):
            part = tuple(path for path in paths if (path in wanted) is needed)
            if part:
                yield Entry(
                    Kind.DOWNLOADS,
                    f"{Kind.DOWNLOADS}/{folder.name}, {label}",
                    part,
                    sum(used_by(path) for path in part),
                    max(made_at(path) for path in part),
                    about=f"{len(part)} packages",
                )
        for path in (each for each in folders(folder) if each.name.startswith(".")):
            yield entry(cache, Kind.DOWNLOADS, path)


def venv(cache: Path, folder: Path) -> Entry:
    """The Python packages of one checkout, which the metadata of our own package names."""
    checkout = checkout_of(folder)
    if checkout is None:
        return entry(cache, Kind.VENVS, folder, worth="it does not tell whose it is")
    lost = "" if checkout.is_dir() else f"{checkout} is gone"
    return entry(cache, Kind.VENVS, folder, about=str(checkout), group=str(checkout), lost=lost)


def checkout_of(venv: Path) -> Path | None:
    for file in venv.glob("lib/python3*/site-packages/bedplate-*.dist-info/direct_url.json"):
        try:
            origin = msgspec.json.decode(file.read_bytes(), type=Origin)
        except msgspec.MsgspecError:
            return None
        return Path(unquote(urlsplit(origin.url).path))
    return None


def others(cache: Path) -> Iterator[Entry]:
    for folder in folders(cache):
        if folder.name not in {*Kind, LOCKS}:
            yield entry(cache, Kind.OTHER, folder)


def entry(cache: Path, kind: Kind, path: Path, **more: str) -> Entry:
    unfinished = path.name.startswith(".")
    group = "" if unfinished else more.pop("group", "")
    about = "unfinished" if unfinished else more.pop("about", "")
    more = {} if unfinished else more
    name = str(path.relative_to(cache))
    size, made = used_by(path), made_at(path)
    return Entry(kind, name, (path,), size, made, about=about, group=group, unfinished=unfinished, **more)


def folders(folder: Path) -> Iterable[Path]:
    """The folders in it; what links lead to is somebody else's."""
    return sorted(path for path in folder.iterdir() if is_ours(path)) if is_ours(folder) else ()


def is_ours(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink()


def used_by(path: Path) -> int:
    """The bytes that a file or all in a folder takes on the disk, a file with several names once."""
    seen: dict[tuple[int, int], int] = {}
    for each in [path, *contents(path)]:
        try:
            found = each.lstat()
        except FileNotFoundError:
            continue
        seen[found.st_dev, found.st_ino] = found.st_blocks * BLOCK
    return sum(seen.values())


def contents(path: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(path):
        yield from (Path(folder, name) for name in [*names, *files])


def made_at(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except FileNotFoundError:
        return GONE
