"""What of the packages stays in /usr, and why: the rules of os/usr.toml applied to a list of files. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate

import msgspec

from bedplate.model.errors import UserError


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Globs over paths such as `usr/lib/sysctl.d/*`; `*` crosses folders. `drop` wins over `keep`."""

    keep: tuple[str, ...]
    drop: tuple[str, ...] = ()


class Modules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Globs over module paths below /usr/lib/modules/VERSION."""

    keep: tuple[str, ...]


class InitrdRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of the finished /usr goes into the initrd as well."""

    executables: tuple[str, ...]
    libraries: tuple[str, ...]
    data: tuple[str, ...]
    modules: tuple[str, ...]


class UsrRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of os/usr.toml; each executable and each library opened at run time has its reason."""

    executables: dict[str, str]
    libraries: dict[str, str]
    data: Data
    enable: dict[str, tuple[str, ...]]
    alias: dict[str, str]
    modules: Modules
    initrd: InitrdRules


class DebugRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of os/debug.toml: what a development image has besides."""

    executables: dict[str, str]
    enable: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Kept:
    """One file that stays, with the reason."""

    path: str
    reason: str


def parse_rules(text: bytes) -> UsrRules:
    try:
        return msgspec.toml.decode(text, type=UsrRules)
    except msgspec.MsgspecError as problem:
        raise UserError("os/usr.toml cannot be read.", details=str(problem)) from problem


def parse_debug(text: bytes) -> DebugRules:
    try:
        return msgspec.toml.decode(text, type=DebugRules)
    except msgspec.MsgspecError as problem:
        raise UserError("os/debug.toml cannot be read.", details=str(problem)) from problem


def with_debug(rules: UsrRules, extra: DebugRules) -> UsrRules:
    """The rules for a development image."""
    targets = {**rules.enable, **extra.enable}
    enable = {name: (*rules.enable.get(name, ()), *extra.enable.get(name, ())) for name in targets}
    return msgspec.structs.replace(rules, executables={**rules.executables, **extra.executables}, enable=enable)


def matcher(globs: Collection[str]) -> Callable[[str], bool]:
    """Whether a path matches one of the globs."""
    if not globs:
        return lambda _: False
    pattern = re.compile("|".join(translate(glob) for glob in globs))
    return lambda path: pattern.match(path) is not None


def select(
    files: Collection[str],
    rules: UsrRules,
    *,
    links: Mapping[str, str],
    needed: Callable[[str], Iterable[str]],
) -> tuple[Kept, ...]:
    """The files of the packages that stay: those named, those matched, and the libraries that they need.

    `files` are paths without a leading slash; `links` gives the full target of each symlink within the
    tree; `needed` gives the paths of the libraries that a file asks for. A named file that no package
    has is a `UserError`, since a list of reasons that names ghosts is worth nothing.
    """
    named = {**rules.executables, **rules.libraries}
    missing = sorted(path for path in named if path not in files)
    if missing:
        raise UserError(
            "os/usr.toml names files that no package and no component has.",
            details="\n".join(missing),
            resolution="Remove the lines, or add the package to os/mkosi.conf.",
        )
    keep, drop = matcher(rules.data.keep), matcher(rules.data.drop)
    matched = {path: "data" for path in files if keep(path) and not drop(path)}
    return closure({**matched, **named}, links=links, needed=needed)


def closure(
    start: Mapping[str, str], *, links: Mapping[str, str], needed: Callable[[str], Iterable[str]]
) -> tuple[Kept, ...]:
    """`start` (path to reason) with link targets and needed libraries added, sorted by path."""
    kept = dict(start)
    todo = list(start)
    while todo:
        path = todo.pop()
        for other in [links[path]] if path in links else needed(path):
            if other not in kept:
                kept[other] = f"needed by {path}"
                todo.append(other)
    return tuple(Kept(path, kept[path]) for path in sorted(kept))


def modules_with_dependencies(wanted: Collection[str], index: str) -> tuple[str, ...]:
    """Module paths (below the version folder) that match a glob, with all they depend on.

    `index` is the text of modules.dep (depmod(8)): `path: dependency dependency`. Compression
    suffixes are ignored, since the image holds modules unpacked.
    """
    match = matcher(wanted)
    depends = dict(_index_line(line) for line in index.splitlines() if line)
    found: set[str] = set()
    todo = [path for path in depends if match(path)]
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo.extend(depends[path])
    return tuple(sorted(found))


def _index_line(line: str) -> tuple[str, tuple[str, ...]]:
    path, _, rest = line.partition(":")
    return unpacked_name(path), tuple(unpacked_name(other) for other in rest.split())


def unpacked_name(path: str) -> str:
    for suffix in (".xz", ".zst", ".gz"):
        path = path.removesuffix(suffix)
    return path
