"""The recorded full run: every test that boots a machine, with the digest of what they cover.

`./dev test --all` runs those that have not passed yet for the files as they are, so it can be stopped and
gone on with, and writes the record once all have. A fast test fails when the files are no longer those of the record.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import cache
from pathlib import Path

import msgspec

from bedplate.host.files import write_atomically
from bedplate.image.agent import PACKAGES, PYTHON
from bedplate.image.wheels import choose_wheels
from bedplate.model.digests import sha256, sha256_of_parts

ROOT = Path(__file__).parents[1]
RECORD = Path(__file__).parent / "boot/full-run.json"
COVERED = (
    "components",
    "deploy/local",
    "os",
    "src/bedplate/image",
    "src/bedplate/local/cell/network.py",
    "src/bedplate/local/join.py",
    "src/bedplate/local/kubeconfig.py",
    "src/bedplate/local/machines",
    "src/bedplate/node",
    "src/bedplate/wire",
)
"""What decides what a node is, what it is given and how it boots; besides it, what the agent takes from other rooms
and from uv.lock, and the tests themselves.

Left out, since it changes often and rarely for a node's sake: the rest of the local cluster, the commands and `dev`,
which the journey goes through in every run; of `host` and `model` what no node carries; and pages of the docs.
"""
AGENT = "src/bedplate/node"
TESTS = "tests/boot"
TEST_LANGUAGE = "src/bedplate/testing"

Parts = dict[str, str]
"""Digests by the path, from the root, of what they are of."""


class FullRun(msgspec.Struct, frozen=True):
    """`digest` is that of the covered files, `seconds` how long each test took."""

    digest: str
    commit: str
    at: datetime
    cores: int
    seconds: dict[str, float]


def digest_of(root: Path) -> str:
    """The digest of everything below `root` that a full run covers, by path and content."""
    tests = (root / TESTS).glob("*.py")
    return str(sha256_of_parts((node_parts(root) | _parts(root, _with_language(root, tests))).items()))


def digest_for(root: Path, tests: str) -> str:
    """The digest of what one file of tests covers: nodes, and those tests.

    So what has passed has passed still when another file of tests is mended.
    """
    files = (root / tests, root / TESTS / "conftest.py")
    return str(sha256_of_parts((node_parts(root) | _parts(root, _with_language(root, files))).items()))


def node_parts(root: Path) -> Parts:
    """What decides what a node is."""
    files = [file for covered in COVERED for file in _files(root / covered)]
    wheels = choose_wheels((root / "uv.lock").read_bytes(), PACKAGES, PYTHON)
    locked = {f"uv.lock {wheel.name}": wheel.hash for wheel in wheels}
    return locked | _parts(root, [*files, *imported_by(root, _files(root / AGENT))])


def imported_by(root: Path, files: Iterable[Path], *, within: str = "src/bedplate") -> frozenset[Path]:
    """Every module in the folder `within` that `files` import, directly or through each other."""
    found: set[Path] = set()
    left = [file for file in files if file.suffix == ".py"]
    while left:
        new = {path for path in _imports(root, left.pop()) if path.is_relative_to(root / within)} - found
        found |= new
        left += new
    return frozenset(found)


def _imports(root: Path, file: Path) -> Iterator[Path]:
    for statement in ast.walk(ast.parse(file.read_bytes())):
        match statement:
            case ast.ImportFrom(module=str(module)):
                names = [module, *(f"{module}.{each.name}" for each in statement.names)]
            case ast.Import():
                names = [each.name for each in statement.names]
            case _:
                continue
        places = (root / "src" / name.replace(".", "/") for name in names)
        yield from (path for place in places if (path := place.with_suffix(".py")).is_file())


def _with_language(root: Path, tests: Iterable[Path]) -> list[Path]:
    tests = list(tests)
    return [*tests, *imported_by(root, tests, within=TEST_LANGUAGE)]


def _parts(root: Path, files: Iterable[Path]) -> Parts:
    return {str(path.relative_to(root)): sha256(path.read_bytes()) for path in files}


def _files(covered: Path) -> Iterator[Path]:
    if covered.is_file():
        yield covered
    for folder, names, files in os.walk(covered):
        names[:] = [name for name in names if not _is_passing(name)]
        yield from (Path(folder, name) for name in files if not _is_passing(name))


def _is_passing(name: str) -> bool:
    """Whether programs put a file or folder of that name there for a while: Python, editors, checkers."""
    return name == "__pycache__" or name.startswith(".") or name.endswith("~")


def read_record(path: Path = RECORD) -> FullRun:
    return msgspec.json.decode(path.read_bytes(), type=FullRun)


class Progress:
    """The tests that have passed for the files as they are, kept in `folder`, outside the checkout.

    `digest_for` gives the digest of what a file of tests covers. What it was at first is what the tests are run
    for: one that passes after a file has changed has passed for neither state.
    """

    def __init__(self, folder: Path, digest_for: Callable[[str], str]) -> None:
        self._folder = folder
        self._now = digest_for
        self._first = cache(digest_for)

    def seconds(self, test: str) -> float | None:
        """How long the test took when it passed; `None` when it has not."""
        return self._passed(test).get(test)

    def passes(self, test: str, seconds: float) -> None:
        tests = _file_of(test)
        if self._now(tests) == self._first(tests):
            passed = self._passed(test) | {test: round(seconds, 1)}
            write_atomically(self._place(test), msgspec.json.encode(passed))

    def record(self, tests: Iterable[str], *, digest: str, commit: str, now: datetime, path: Path = RECORD) -> bool:
        """Write the record of `digest` if all of `tests` have passed; whether they have."""
        seconds = {test: self.seconds(test) for test in sorted(tests)}
        passed = {test: each for test, each in seconds.items() if each is not None}
        if not passed or passed != seconds:
            return False
        run = FullRun(digest, commit, now, len(os.sched_getaffinity(0)), passed)
        write_atomically(path, msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")
        return True

    def _passed(self, test: str) -> dict[str, float]:
        place = self._place(test)
        return msgspec.json.decode(place.read_bytes(), type=dict[str, float]) if place.exists() else {}

    def _place(self, test: str) -> Path:
        return self._folder / f"{self._first(_file_of(test))[:16]}.json"


def _file_of(test: str) -> str:
    """The path of the file of a test, from the root."""
    return test.partition("::")[0]
