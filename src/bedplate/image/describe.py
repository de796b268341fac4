"""Looks at a finished image, while all it was made of is still there, and writes down what it holds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from bedplate.host.files import file_sha256
from bedplate.image.agent import FOLDER, PROGRAM
from bedplate.image.disk import Verity, fingerprint
from bedplate.image.lock import versions
from bedplate.image.manifest import Executable, File, Manifest, Package, Partition
from bedplate.image.order import ImageOrder
from bedplate.image.stage import Staged, component_files
from bedplate.wire.gpt import HEAD_BYTES, read_table

PARTITIONS = {
    "esp": "uki.efi",
    "usr-a": "usr.erofs",
    "usr-a-verity": "usr.verity",
    "usr-a-verity-sig": "usr.verity-sig",
}
OURS = "recipe"


def describe(folder: Path, staged: Staged, packages: Path, order: ImageOrder, verity: Verity) -> Manifest:
    """The manifest of the image in `folder`, which was staged from the tree `packages`."""
    owners = package_owners(packages) | {path: Path(path).name for path in component_files(order.programs)}
    owners |= {kept.path: PROGRAM for kept in staged.kept if kept.path.startswith(f"{FOLDER}/")}
    files = list_files(staged.root, owners)
    return Manifest(
        version=str(order.version),
        kernel=staged.kernel,
        root_hash=verity.root_hash,
        certificate_sha256=fingerprint(folder / "db.crt"),
        command_line=(folder / "cmdline").read_text(),
        debug=order.debug,
        partitions=list_partitions(folder),
        packages=list_packages(packages, files),
        executables=list_executables(staged, files),
        units={target: tuple(units) for target, units in staged.rules.enable.items()},
        files=files,
    )


def list_partitions(folder: Path) -> tuple[Partition, ...]:
    """The partitions of disk.raw; what is written into them lies beside it."""
    with (folder / "disk.raw").open("rb") as disk:
        table = read_table(disk.read(HEAD_BYTES))
    labels = zip(PARTITIONS.values(), table, strict=True)
    return tuple(Partition(label_of(name), each.size, (folder / name).stat().st_size) for name, each in labels)


def label_of(file: str) -> str:
    return next(label for label, name in PARTITIONS.items() if name == file)


def list_files(root: Path, owners: Mapping[str, str]) -> tuple[File, ...]:
    """Every file and link below root/usr, by path from the root, sorted."""
    found = []
    for folder, folders, names in os.walk(root / "usr"):
        found += [Path(folder, name) for name in [*names, *(n for n in folders if Path(folder, n).is_symlink())]]
    return tuple(_file(path, str(path.relative_to(root)), owners) for path in sorted(found))


def _file(path: Path, name: str, owners: Mapping[str, str]) -> File:
    owner = owners.get(name, OURS)
    if path.is_symlink():
        return File(name, 0, target=str(path.readlink()), owner=owner)
    return File(name, path.stat().st_size, file_sha256(path), owner=owner)


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
    """The packages of the tree that own one of `files`."""
    sizes: dict[str, int] = {}
    for file in files:
        sizes[file.owner] = sizes.get(file.owner, 0) + file.size
    known = versions((tree / "var/lib/dpkg/status").read_text())
    return tuple(Package(name, known[name], sizes[name]) for name in sorted(known.keys() & sizes.keys()))


def package_owners(tree: Path) -> dict[str, str]:
    """The package that each path came from, from dpkg's database (dpkg-query(1))."""
    owners = {}
    for listed in sorted((tree / "var/lib/dpkg/info").glob("*.list")):
        package = listed.stem.partition(":")[0]
        owners.update({usr_path(line): package for line in listed.read_text().splitlines()})
    return owners


def usr_path(line: str) -> str:
    """A path of dpkg's, as it is in a system whose /bin, /lib and /sbin are links into /usr."""
    path = line.lstrip("/")
    first = path.partition("/")[0]
    path = f"usr/{path}" if first in {"bin", "sbin", "lib", "lib64"} else path
    for suffix in (".xz", ".zst"):
        path = path.removesuffix(suffix) if path.endswith(f".ko{suffix}") else path
    return path
