"""Which shared libraries a program of a root folder needs to run elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

from bedplate.host.run import Runner
from bedplate.model.errors import MachineError

LOADER = "ld-linux-x86-64.so.2"
LOADER_PATH = f"/lib64/{LOADER}"
"""Where every program of this architecture asks for its loader (System V ABI)."""
LIBRARY_FOLDERS = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
_LINE = re.compile(r"^\s+(?P<soname>[^/\s]\S*) => (?P<path>not found|\S+)", re.MULTILINE)


def needed_libraries(runner: Runner, root: Path, program: Path) -> dict[str, Path]:
    """The loader and every library that `program` (under `root`) loads: path in the file system -> file under `root`.

    The root's own loader is asked, with its own libraries, so the answer fits that root whatever runs here.
    """
    # The path programs ask for may be an absolute link, which would lead out of the root.
    loader = root / LIBRARY_FOLDERS[0] / LOADER
    search = ":".join(str(root / folder) for folder in LIBRARY_FOLDERS)
    argv: list[str | Path] = [loader, "--inhibit-cache", "--library-path", search, "--list", program]
    found = {match["soname"]: match["path"] for match in _LINE.finditer(runner.run(argv).text)}
    missing = sorted(soname for soname, path in found.items() if path == "not found")
    if missing:
        raise MachineError(f"{program} needs libraries that {root} lacks.", details=", ".join(missing))
    libraries = {f"/{LIBRARY_FOLDERS[0]}/{soname}": Path(path) for soname, path in sorted(found.items())}
    return {LOADER_PATH: loader, **libraries}
