"""What an image holds, written beside it while it is built, so that it can be read without opening the disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from bedplate.host.files import write_atomically
from bedplate.image.stage import Staged
from bedplate.model.errors import MachineError

FILE = "manifest.json"


class Package(msgspec.Struct, frozen=True):
    """A Debian package of which at least one file is in /usr; `size` sums those files, in bytes."""

    name: str
    version: str
    size: int


class Executable(msgspec.Struct, frozen=True):
    """A program in /usr and why a node has it; `target` is what a link leads to."""

    path: str
    reason: str
    size: int
    target: str = ""


class File(msgspec.Struct, frozen=True):
    """A file of /usr: size in bytes and SHA-256; for a link, its target and no digest."""

    path: str
    size: int
    sha256: str = ""
    target: str = ""


class Partition(msgspec.Struct, frozen=True):
    """A partition of the disk and what is written into it, in bytes."""

    label: str
    used: int


class Manifest(msgspec.Struct, frozen=True):
    """All that `bedplate image inspect` and `diff` show. `units` are those that a boot starts, by target."""

    version: str
    kernel: str
    root_hash: str
    certificate_sha256: str
    command_line: str
    debug: bool
    partitions: tuple[Partition, ...]
    packages: tuple[Package, ...]
    executables: tuple[Executable, ...]
    units: dict[str, tuple[str, ...]]
    files: tuple[File, ...]


def read_manifest(folder: Path) -> Manifest:
    """Raises `MachineError` when there is none or it is damaged."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as problem:
        raise MachineError(
            f"{folder} is not a whole image.",
            details=str(problem),
            resolution=f"Remove {folder}; the next build makes it again.",
        ) from problem


def write_manifest(folder: Path, manifest: Manifest) -> None:
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    write_atomically(folder / FILE, text + b"\n")


def list_files(root: Path) -> tuple[File, ...]:
    """Every file and link below root/usr, by path from the root, sorted."""
    found = []
    for folder, folders, names in os.walk(root / "usr"):
        found += [Path(folder, name) for name in [*names, *(n for n in folders if Path(folder, n).is_symlink())]]
    return tuple(_file(root, path) for path in sorted(found))


def _file(root: Path, path: Path) -> File:
    name = str(path.relative_to(root))
    if path.is_symlink():
        return File(name, 0, target=str(path.readlink()))
    with path.open("rb") as opened:
        return File(name, path.stat().st_size, hashlib.file_digest(opened, "sha256").hexdigest())


def list_executables(staged: Staged, files: Iterable[File]) -> tuple[Executable, ...]:
    """Every file with an execute bit that is a program, with its reason; libraries have none and are left out."""
    reasons = {kept.path: kept.reason for kept in staged.kept}
    return tuple(
        Executable(file.path, reasons.get(file.path, "part of the recipe"), file.size, file.target)
        for file in files
        if file.path in staged.rules.executables or is_program(staged.root / file.path)
    )


def is_program(path: Path) -> bool:
    """Whether the kernel would run it: an execute bit, and not a shared library by its name."""
    return path.is_file() and not path.is_symlink() and os.access(path, os.X_OK) and ".so" not in path.name


def list_packages(tree: Path, files: Iterable[File]) -> tuple[Package, ...]:
    """The packages of the tree that own one of `files`, from dpkg's database (dpkg-query(1))."""
    sizes = {file.path: file.size for file in files}
    found = []
    for name, version in sorted(versions(tree / "var/lib/dpkg/status").items()):
        info = tree / "var/lib/dpkg/info"
        listed = next((info / f"{n}.list" for n in (name, f"{name}:amd64") if (info / f"{n}.list").exists()), None)
        owned = {usr_path(line) for line in listed.read_text().splitlines()} & sizes.keys() if listed else set()
        if owned:
            found.append(Package(name, version, sum(sizes[path] for path in owned)))
    return tuple(found)


def usr_path(line: str) -> str:
    """A path of dpkg's, as it is in a system whose /bin, /lib and /sbin are links into /usr."""
    path = line.lstrip("/")
    first = path.partition("/")[0]
    path = f"usr/{path}" if first in {"bin", "sbin", "lib", "lib64"} else path
    for suffix in (".xz", ".zst"):
        path = path.removesuffix(suffix) if path.endswith(f".ko{suffix}") else path
    return path


def versions(status: Path) -> Mapping[str, str]:
    """Package names and versions of a dpkg status file (deb822(5))."""
    found = {}
    for stanza in status.read_text().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
        if "Package" in fields:
            found[fields["Package"]] = fields["Version"]
    return found
