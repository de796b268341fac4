"""What changed between two images, told from their manifests. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any

import msgspec

from bedplate.image.manifest import File, Manifest


class Kind(Enum):
    """How something differs between the first image and the second."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class Difference(msgspec.Struct, frozen=True):
    """One thing that differs: `old` and `new` are how it reads in each, empty where it is not there.

    `grown` is by how many bytes the second has more.
    """

    name: str
    kind: Kind
    old: str = ""
    new: str = ""
    grown: int = 0


class FileDifference(msgspec.Struct, frozen=True):
    """One file that differs; sizes in bytes, 0 where it is not there."""

    path: str
    kind: Kind
    owner: str
    old_size: int = 0
    new_size: int = 0

    @property
    def grown(self) -> int:
        return self.new_size - self.old_size


class Summary(msgspec.Struct, frozen=True):
    """Counts; `rewritten` sums the sizes of files that are new or changed, `grown` is the change of the whole."""

    same: bool
    packages: int
    files: int
    files_alike: int
    rewritten: int
    grown: int


class ImageDiff(msgspec.Struct, frozen=True):
    """From the image `old` to `new`. `facts` are version, kernel, keys and such."""

    old: str
    new: str
    summary: Summary
    facts: tuple[Difference, ...]
    packages: tuple[Difference, ...]
    executables: tuple[Difference, ...]
    units: tuple[Difference, ...]
    command_line: tuple[Difference, ...]
    partitions: tuple[Difference, ...]
    files: tuple[FileDifference, ...]


FACTS = ("version", "kernel", "root_hash", "certificate_sha256", "debug")


def diff(old: Manifest, new: Manifest) -> ImageDiff:
    """Everything that differs; what follows from a changed root hash only (its signature) is not told twice."""
    files = compare_files(old, new)
    packages = compare(
        {each.name: each.version for each in old.packages},
        {each.name: each.version for each in new.packages},
        sizes=({p.name: p.size for p in old.packages}, {p.name: p.size for p in new.packages}),
    )
    facts = compare({name: fact(old, name) for name in FACTS}, {name: fact(new, name) for name in FACTS})
    return ImageDiff(
        old=old.version,
        new=new.version,
        summary=summarise(old, new, files, packages=len(packages), same=old == new),
        facts=facts,
        packages=packages,
        executables=compare(programs(old), programs(new)),
        units=compare(unit_names(old), unit_names(new)),
        command_line=compare(words(old), words(new)),
        partitions=compare(partitions(old), partitions(new)),
        files=files,
    )


def compare(
    old: Mapping[str, str],
    new: Mapping[str, str],
    *,
    sizes: tuple[Mapping[str, int], Mapping[str, int]] = (MappingProxyType({}), MappingProxyType({})),
) -> tuple[Difference, ...]:
    """What differs between two sets of named texts, by name."""
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return tuple(
        Difference(
            name,
            kind_of(name, old, new),
            old.get(name, ""),
            new.get(name, ""),
            sizes[1].get(name, 0) - sizes[0].get(name, 0),
        )
        for name in names
    )


def compare_files(old: Manifest, new: Manifest) -> tuple[FileDifference, ...]:
    """Files whose content, or whose target as a link, differs."""
    before, after = ({file.path: file for file in manifest.files} for manifest in (old, new))
    paths = sorted(path for path in before.keys() | after.keys() if content(before, path) != content(after, path))
    return tuple(
        FileDifference(
            path,
            kind_of(path, before, after),
            after.get(path, before.get(path, NO_FILE)).owner,
            before.get(path, NO_FILE).size,
            after.get(path, NO_FILE).size,
        )
        for path in paths
    )


NO_FILE = File("", 0)


def content(files: Mapping[str, File], path: str) -> tuple[str, str] | None:
    file = files.get(path)
    return (file.sha256, file.target) if file else None


def kind_of(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Kind:
    if name not in old:
        return Kind.ADDED
    return Kind.CHANGED if name in new else Kind.REMOVED


def summarise(old: Manifest, new: Manifest, files: tuple[FileDifference, ...], *, packages: int, same: bool) -> Summary:
    kept = len({file.path for file in new.files}) - sum(file.kind is not Kind.REMOVED for file in files)
    return Summary(
        same=same,
        packages=packages,
        files=len(files),
        files_alike=kept,
        rewritten=sum(file.new_size for file in files),
        grown=sum(file.size for file in new.files) - sum(file.size for file in old.files),
    )


def fact(manifest: Manifest, name: str) -> str:
    return str(getattr(manifest, name))


def programs(manifest: Manifest) -> dict[str, str]:
    """How each executable reads: its size with the beginning of its digest, or where it leads as a link."""
    known = {file.path: file for file in manifest.files}
    return {
        path: f"-> {file.target}" if file.target else f"{file.size} bytes, {file.sha256[:12]}"
        for path, file in ((program.path, known[program.path]) for program in manifest.executables)
    }


def unit_names(manifest: Manifest) -> dict[str, str]:
    return {f"{target} {unit}": "enabled" for target, units in manifest.units.items() for unit in units}


def partitions(manifest: Manifest) -> dict[str, str]:
    return {part.label: f"{part.used} of {part.size} bytes" for part in manifest.partitions}


def words(manifest: Manifest) -> dict[str, str]:
    """The words of the command line by name; root hash and signature differ whenever /usr does, so they are facts."""
    plain = (word for word in manifest.command_line.split() if "usrhash=" not in word and "hash-signature=" not in word)
    found: dict[str, str] = {}
    for word in plain:
        name, _, value = word.partition("=")
        found[name] = f"{found[name]} {value}" if name in found else value
    return found
