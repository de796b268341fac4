"""The lock of Debian packages: which versions a tree is made of, as one line of text for each package. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from bedplate.model.digests import Sha256, sha256
from bedplate.model.errors import UserError

PACKAGES, TOOLS = "packages.lock", "tools.lock"
HEAD = "# Written by `bedplate image lock`: name version architecture size sha256 path"
SUITE = "# suite "
AGAIN = "Run `bedplate image lock`, which writes it anew."


@dataclass(frozen=True, slots=True, order=True)
class Locked:
    """One package: `size` in bytes; `path` begins with the archive (`debian/`, `debian-security/`), then the pool."""

    name: str
    version: str
    architecture: str
    size: int
    sha256: Sha256
    path: str

    @property
    def archive(self) -> str:
        return self.path.partition("/")[0]

    @property
    def file(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Lock:
    """The packages of one tree, sorted by name, and the suites they were chosen from with the day of their index."""

    suites: tuple[tuple[str, datetime], ...]
    packages: tuple[Locked, ...]

    @property
    def digest(self) -> Sha256:
        """Changes with the packages only: an index that is younger and names the same ones makes no difference."""
        return sha256("\n".join(_line(package) for package in self.packages).encode())

    @property
    def snapshot(self) -> str:
        """When all of it was current, as snapshot.debian.org writes times."""
        return f"{max(day for _, day in self.suites):%Y%m%dT%H%M%SZ}"


def write_lock(lock: Lock) -> str:
    suites = [f"{SUITE}{name} {day:%Y-%m-%dT%H:%M:%SZ}" for name, day in lock.suites]
    return "".join(f"{line}\n" for line in [HEAD, *suites, *(_line(package) for package in lock.packages)])


def read_lock(text: str, name: str) -> Lock:
    """The lock in `text`; `UserError` with the line when it is not one. `name` is what the error calls it."""
    suites: list[tuple[str, datetime]] = []
    packages: list[Locked] = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            if line.startswith(SUITE):
                suite, day = line.removeprefix(SUITE).split()
                suites.append((suite, datetime.fromisoformat(day)))
            elif line and not line.startswith("#"):
                package, version, architecture, size, digest, path = line.split()
                packages.append(Locked(package, version, architecture, int(size), Sha256(digest), path))
        except ValueError as problem:
            raise UserError(
                f"os/{name}, line {number}, is not part of a lock.", details=line, resolution=AGAIN
            ) from problem
    if not packages or not suites:
        raise UserError(f"os/{name} locks nothing.", resolution=AGAIN)
    return Lock(tuple(suites), tuple(sorted(packages)))


def require_named(lock: Lock, wanted: Iterable[str], name: str) -> None:
    """A wanted package that the lock does not have is a `UserError`: somebody added it and did not lock again."""
    missing = sorted(set(wanted) - {package.name for package in lock.packages})
    if missing:
        raise UserError(f"os/{name} does not have {', '.join(missing)}.", resolution=AGAIN)


def differences(lock: Lock, installed: Mapping[str, str]) -> tuple[str, ...]:
    """What of `installed` (name to version) is not as locked, one line for each package."""
    locked = {package.name: package.version for package in lock.packages}
    return changes(locked, installed)


def require_locked(lock: Lock, installed: Mapping[str, str], name: str) -> None:
    """What is installed is what the lock has, or a `UserError` names each difference."""
    wrong = differences(lock, installed)
    if wrong:
        raise UserError(
            f"os/{name} and what its packages make do not agree.", details="\n".join(wrong), resolution=AGAIN
        )


def versions(status: str) -> Mapping[str, str]:
    """Package names and versions of a dpkg status file (deb822(5))."""
    found = {}
    for stanza in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
        if "Package" in fields:
            found[fields["Package"]] = fields["Version"]
    return found


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """One line for each name whose version differs."""
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return tuple(f"{name} {old.get(name, '-')} -> {new.get(name, '-')}" for name in names)


def names_of(text: str) -> tuple[str, ...]:
    """The names in a package list: one a line, `#` begins a comment."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def names_of_mkosi(text: str) -> tuple[str, ...]:
    """The names below `Packages=` in an mkosi.conf."""
    _, _, rest = text.partition("\nPackages=")
    first, *lines = rest.split("\n")
    indented = []
    for line in lines:
        if line and not line[0].isspace() and not line.startswith("#"):
            break
        indented.append(line)
    return tuple(name for name in names_of("\n".join([first, *indented])))


def _line(package: Locked) -> str:
    fields = (package.name, package.version, package.architecture, package.size, package.sha256, package.path)
    return " ".join(str(field) for field in fields)
