"""The initrd: files of /usr that find, check and mount /usr, and nothing else."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from bedplate.image.cpio import FOLDER, LINK, Entry, archive
from bedplate.image.stage import INDEX_SOURCES, Staged, copy, needed_libraries, package_files
from bedplate.image.tools import Tools
from bedplate.image.usr import InitrdRules, closure, matcher, modules_with_dependencies

# What makes the kernel and systemd take the archive for an initrd; all of it points into /usr.
FIXED = {
    "bin": b"usr/bin",
    "etc/initrd-release": b"../usr/lib/os-release",
    "etc/os-release": b"../usr/lib/os-release",
    "init": b"usr/lib/systemd/systemd",
    "lib": b"usr/lib",
    "lib64": b"usr/lib64",
    "sbin": b"usr/sbin",
    "usr/lib/systemd/system/default.target": b"initrd.target",
}
EMPTY_FOLDERS = ("dev", "proc", "run", "sys", "sysroot", "tmp", "var")


def initrd(staged: Staged, rules: InitrdRules, *, tools: Tools) -> bytes:
    """The archive, not compressed. Its module index is its own, since the whole one names modules it lacks."""
    files = package_files(staged.root)
    kept = closure(
        dict.fromkeys([*rules.executables, *rules.libraries, *filter(matcher(rules.data), files)], "rule"),
        links={path: str(_inside(path, file)) for path, file in files.items() if file.is_symlink() and file.is_file()},
        needed=lambda path: needed_libraries(files[path], files),
    )
    entries = [_entry(staged.root, item.path) for item in kept]
    entries += module_entries(staged, rules, tools)
    entries += [Entry(path, LINK, target) for path, target in FIXED.items()]
    unique = {entry.path: entry for entry in entries}
    ordered = sorted(unique.values(), key=lambda entry: entry.path)
    return archive([*(Entry(path, FOLDER) for path in folders(unique)), *ordered])


def module_entries(staged: Staged, rules: InitrdRules, tools: Tools) -> Iterable[Entry]:
    """The modules with an index of just them."""
    base = Path("usr/lib/modules") / staged.kernel
    index = (staged.root / base / "modules.dep").read_text()
    wanted = [base / path for path in modules_with_dependencies(rules.modules, index)]
    with tempfile.TemporaryDirectory(dir=staged.root.parent) as scratch:
        small = Path(scratch)
        for path in [*wanted, *(base / name for name in INDEX_SOURCES)]:
            copy(staged.root / path, small / path)
        tools.run(small, ["depmod", "--basedir=/mnt/usr", staged.kernel])
        for path in [*wanted, *sorted(file.relative_to(small) for file in (small / base).glob("modules.*"))]:
            if path.name not in INDEX_SOURCES:
                yield _entry(small, str(path))


def folders(paths: Iterable[str]) -> list[str]:
    """Every folder that the paths need, parents first."""
    parents = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    return sorted(parents - {"."} | set(EMPTY_FOLDERS))


def _inside(path: str, file: Path) -> str:
    return os.path.normpath(PurePosixPath(path).parent / str(file.readlink()))


def _entry(root: Path, path: str) -> Entry:
    file = root / path
    if file.is_symlink():
        return Entry(path, LINK, str(file.readlink()).encode())
    mode = stat.S_IFREG | (0o755 if os.access(file, os.X_OK) else 0o644)
    return Entry(path, mode, file.read_bytes())
