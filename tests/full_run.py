"""The recorded full run: every test that boots a machine, with the digest of what they cover.

`./dev test --all` runs those that have not passed yet for the files as they are, so it can be stopped and
gone on with, and writes the record once all have. A fast test compares the digest.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec

from bedplate.host.files import write_atomically
from bedplate.model.digests import sha256, sha256_of_parts

ROOT = Path(__file__).parents[1]
RECORD = Path(__file__).parent / "boot/full-run.json"
COVERED = ("components", "deploy/local", "os", "src/bedplate/image", "src/bedplate/node")
"""What decides what a node is. The rest of the local cluster is in the journey, which every run has."""
IGNORED = {"__pycache__"}


class FullRun(msgspec.Struct, frozen=True):
    """`digest` is that of the covered files, `seconds` how long each test took."""

    digest: str
    commit: str
    at: datetime
    cores: int
    seconds: dict[str, float]


def digest_of(root: Path) -> str:
    """The digest of all covered files below `root`, by path and content."""
    return str(sha256_of_parts((str(path.relative_to(root)), sha256(path.read_bytes())) for path in _files(root)))


def _files(root: Path) -> Iterable[Path]:
    for covered in COVERED:
        for folder, names, files in os.walk(root / covered):
            names[:] = [name for name in names if name not in IGNORED]
            yield from (Path(folder, name) for name in files)


def read_record(path: Path = RECORD) -> FullRun:
    return msgspec.json.decode(path.read_bytes(), type=FullRun)


class Progress:
    """The tests that have passed for the files as they are, kept outside the checkout."""

    def __init__(self, folder: Path, digest: str) -> None:
        self.file = folder / f"{digest[:16]}.json"
        self.digest = digest
        self.passed: dict[str, float] = msgspec.json.decode(self.file.read_bytes()) if self.file.exists() else {}

    def passes(self, test: str, seconds: float) -> None:
        self.passed[test] = round(seconds, 1)
        write_atomically(self.file, msgspec.json.encode(self.passed))

    def record(self, tests: Iterable[str], *, commit: str, now: datetime, path: Path = RECORD) -> bool:
        """Write the record if all of `tests` have passed; whether they have."""
        wanted = sorted(tests)
        if not wanted or set(wanted) - self.passed.keys():
            return False
        seconds = {test: self.passed[test] for test in wanted}
        run = FullRun(self.digest, commit, now, len(os.sched_getaffinity(0)), seconds)
        write_atomically(path, msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")
        return True
