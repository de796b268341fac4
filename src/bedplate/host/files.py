"""Files that are whole or not there: writing, and folders that appear at once."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bedplate.model.digests import Sha256
from bedplate.model.errors import MachineError

FULL = (errno.ENOSPC, errno.EDQUOT)


def file_sha256(path: Path) -> Sha256:
    """The digest of a file of any size, read in pieces."""
    with path.open("rb") as opened:
        return Sha256(hashlib.file_digest(opened, "sha256").hexdigest())


@contextmanager
def space_for(path: Path) -> Iterator[None]:
    """A block that writes `path`, or files in it. Raises `MachineError` when that fills the disk."""
    try:
        yield
    except OSError as problem:
        if problem.errno not in FULL:
            raise
        raise no_space(path, str(problem)) from problem


def no_space(path: Path, details: str) -> MachineError:
    """What to tell when the file system of `path` is full."""
    return MachineError(
        f"There is no space left for {path}.",
        details=details,
        resolution=f"Free some space on the file system of {path.parent}, then try again: nothing is half done.",
    )


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write `data` so that `path` holds the old content or the new, never a part, even after a power cut."""
    with space_for(path):
        _write(path, data, mode)


def _write(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def folder_in_one_step(path: Path) -> Iterator[Path]:
    """A new folder to fill, which takes the name `path` when the block ends well and vanishes otherwise.

    Where `path` is there already it stays: the entries of a cache keyed by content are all alike.
    Raises `MachineError` when the block fills the disk.
    """
    with space_for(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        scratch.chmod(0o755)
        try:
            yield scratch
            if not path.exists():
                scratch.rename(path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def discard(path: Path) -> None:
    """Remove a folder, its name first: nobody finds a half of it, and `remove_leftovers` ends what was cut short."""
    if path.exists():
        aside = path.with_name(f".{path.name}.gone")
        if aside.exists():
            remove_tree(aside)
        path.rename(aside)
        remove_tree(aside)


def remove_tree(path: Path) -> None:
    """Remove a file, or a folder with what is in it even where that was closed against writing."""
    if path.is_dir() and not path.is_symlink():
        path.chmod(0o700)
        for folder, names, _ in os.walk(path):
            for each in (Path(folder, name) for name in names):
                if not each.is_symlink():
                    each.chmod(0o700)
        shutil.rmtree(path)
    else:
        path.unlink()


def remove_leftovers(path: Path) -> None:
    """Remove the unfinished siblings of `path` that a killed process left; call it under the lock of their maker."""
    _remove(path.parent.glob(f".{path.name}.*"))


def remove_all_leftovers(folder: Path) -> None:
    """Remove all that killed processes left in a folder of such names; call it under the lock of their only maker."""
    _remove(folder.glob(".*.*"))


def _remove(leftovers: Iterable[Path]) -> None:
    for leftover in leftovers:
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
