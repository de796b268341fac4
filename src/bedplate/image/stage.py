"""Fills the folder that becomes /usr: packages by the rules, our own files, components, modules unpacked."""

from __future__ import annotations

import lzma
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bedplate.image.agent import bundle_files
from bedplate.image.elf import is_elf, read_dynamic
from bedplate.image.tools import Tools
from bedplate.image.usr import Kept, UsrRules, modules_with_dependencies, select, unpacked_name
from bedplate.model.errors import OurError, UserError

LIBRARY_FOLDER = "usr/lib/x86_64-linux-gnu"
COMPONENT_FOLDERS = {
    "bridge": "usr/lib/cni",
    "host-local": "usr/lib/cni",
    "loopback": "usr/lib/cni",
    "portmap": "usr/lib/cni",
}
INDEX_SOURCES = ("modules.builtin", "modules.builtin.modinfo", "modules.order")
FACTORY = ("ssl/certs/ca-certificates.crt", "protocols", "services", "ethertypes")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the files come from: mkosi's package tree, the recipe, the components by tool name, the agent's bundle.

    With `debug`, the recipe's files for development images come along.
    """

    packages: Path
    recipe: Path
    components: Mapping[str, Path]
    agent: Path
    debug: bool = False


@dataclass(frozen=True, slots=True)
class Staged:
    """`root` holds usr/; `kept` says why each file of the packages is there; `kernel` is the version folder's name."""

    root: Path
    kept: tuple[Kept, ...]
    kernel: str
    rules: UsrRules


def stage(sources: Sources, rules: UsrRules, root: Path, *, tools: Tools, version: str) -> Staged:
    """Fill `root` and return what was kept and why."""
    files = component_files(sources.components) | bundle_files(sources.agent) | package_files(sources.packages)
    links = {path: target for path, file in files.items() if (target := _target(sources.packages, path, file))}

    def needed(path: str) -> Iterable[str]:
        return needed_libraries(files[path], files)

    kept = select(files.keys(), rules, links=links, needed=needed)
    for item in kept:
        copy(files[item.path], root / item.path)
    kernel = stage_modules(sources.packages, root, rules.modules.keep, tools)
    for name in FACTORY:
        source = sources.packages / "etc" / name
        if source.exists():
            copy(source, root / "usr/share/factory/etc" / name, follow=True)
    for folder in ("usr", "debug/usr") if sources.debug else ("usr",):
        shutil.copytree(sources.recipe / folder, root / "usr", symlinks=True, dirs_exist_ok=True)
    enable_units(root, rules)
    (root / "usr/lib/os-release").unlink(missing_ok=True)
    (root / "usr/lib/os-release").write_text(os_release(version, debug=sources.debug))
    return Staged(root, kept, kernel, rules)


def component_files(components: Mapping[str, Path]) -> dict[str, Path]:
    return {f"{COMPONENT_FOLDERS.get(name, 'usr/bin')}/{name}": path for name, path in components.items()}


def package_files(tree: Path) -> dict[str, Path]:
    """Every file and link below usr/ of the package tree by its path, without the kernel's modules."""
    found = {}
    for folder, names, leaves in os.walk(tree / "usr"):
        names[:] = sorted(name for name in names if Path(folder, name) != tree / "usr/lib/modules")
        for name in [*leaves, *(n for n in names if Path(folder, n).is_symlink())]:
            path = Path(folder, name)
            found[str(path.relative_to(tree))] = path
    return found


def needed_libraries(file: Path, files: Mapping[str, Path]) -> list[str]:
    if not file.is_file():
        return []
    with file.open("rb") as opened:
        if not is_elf(opened.read(4)):
            return []
    dynamic = read_dynamic(file.read_bytes())
    folders = (LIBRARY_FOLDER, f"{LIBRARY_FOLDER}/systemd", "usr/lib/systemd")
    found = []
    for soname in dynamic.needed:
        path = next((f"{folder}/{soname}" for folder in folders if f"{folder}/{soname}" in files), None)
        if path is None:
            raise OurError(f"{file} needs {soname}, which no package in the image has.")
        found.append(path)
    return found


def _target(tree: Path, path: str, file: Path) -> str | None:
    """The full path, within the tree, that a link names; none for files and for links that lead out of /usr."""
    if not file.is_symlink():
        return None
    target = str(file.readlink())
    joined = target.lstrip("/") if target.startswith("/") else os.path.normpath(Path(path).parent / target)
    return str(joined) if str(joined).startswith("usr/") and (tree / joined).is_file() else None


def copy(source: Path, target: Path, *, follow: bool = False) -> None:
    """Copy a file or a link with its permissions, without set-user-id bits."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink() and not follow:
        target.symlink_to(str(source.readlink()))
        return
    shutil.copyfile(source, target)
    target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)


def stage_modules(packages: Path, root: Path, wanted: Sequence[str], tools: Tools) -> str:
    """Unpack the wanted kernel modules and write their index; returns the kernel's version."""
    source = next((packages / "usr/lib/modules").iterdir())
    target = root / "usr/lib/modules" / source.name
    for path in modules_with_dependencies(wanted, (source / "modules.dep").read_text()):
        packed = source / f"{path}.xz"
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(
            lzma.decompress(packed.read_bytes()) if packed.exists() else (source / path).read_bytes()
        )
    for name in INDEX_SOURCES:
        copy(source / name, target / name)
    order = target / "modules.order"
    order.write_text("".join(f"{unpacked_name(line)}\n" for line in order.read_text().splitlines()))
    tools.run(root, ["depmod", "--basedir=/mnt/usr", source.name])
    return source.name


def enable_units(root: Path, rules: UsrRules) -> None:
    """Start units by links in /usr, so that nothing has to be enabled at boot."""
    system = root / "usr/lib/systemd/system"
    named = {*rules.alias.values(), *(unit for units in rules.enable.values() for unit in units)}
    if missing := sorted(unit for unit in named if not (system / unit).exists()):
        raise UserError(
            "os/usr.toml starts units that the image does not have.",
            details="\n".join(missing),
            resolution="Correct the names under [enable] and [alias], or keep the units' files under [data].",
        )
    for target, units in rules.enable.items():
        (system / f"{target}.wants").mkdir(exist_ok=True)
        for unit in units:
            link(system / f"{target}.wants" / unit, f"../{unit}")
    for alias, unit in rules.alias.items():
        link(system / alias, unit)
    for wants in [*system.glob("*.wants/*"), *system.glob("*.requires/*")]:
        if not wants.exists():
            wants.unlink()


def link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def os_release(version: str, *, debug: bool) -> str:
    """/usr/lib/os-release (os-release(5)). A development image says so wherever its name is shown."""
    name = version.replace("Bedplate-", "Bedplate ", 1) + (" DEBUG" if debug else "")
    return (
        f'ID=bedplate\nNAME="Bedplate{" DEBUG" if debug else ""}"\nPRETTY_NAME="{name}"\n'
        f"ID_LIKE=debian\nVERSION_ID={version.rpartition('-')[2]}\nIMAGE_ID=bedplate\nIMAGE_VERSION={version}\n"
    ) + ("VARIANT_ID=debug\n" if debug else "")
