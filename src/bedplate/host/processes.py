"""What the processes of this machine have open (proc(5))."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

PROC = Path("/proc")
LINKS = ("exe", "cwd", "root")


def files_in_use(below: Path, proc: Path = PROC) -> Mapping[Path, str]:
    """The paths below a folder that a process has open or mapped, runs, stands in or was started with, and by whom.

    Of other users' processes only root can tell.
    """
    found: dict[Path, str] = {}
    for process in proc.glob("[0-9]*"):
        for path in _paths(process):
            if below in path.parents:
                found[path] = f"process {process.name} uses it"
    return found


def _paths(process: Path) -> Iterator[Path]:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
        maps = (process / "maps").read_text(errors="replace").splitlines()
        links = [*(process / name for name in LINKS), *(process / "fd").iterdir()]
    except OSError:  # it has ended, or is somebody else's
        return
    yield from (_where(word.decode(errors="replace")) for word in words if word.startswith(b"/"))
    yield from {Path("/", line.partition("/")[2]) for line in maps if "/" in line}
    for link in links:
        try:
            yield link.readlink()
        except OSError:  # as above
            continue


def _where(word: str) -> Path:
    """The word as a path without links on the way; what it leads to itself may be elsewhere, as a venv's Python is."""
    path = Path(word)
    return path.parent.resolve() / path.name
