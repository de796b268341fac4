"""A figure with its goal, and the record of a run."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from bedplate.host.files import write_atomically
from bedplate.host.run import Runner

RESULTS = Path(__file__).parent / "results"
MIB, GIB = 1024**2, 1024**3


class Figure(msgspec.Struct, frozen=True):
    """One thing measured. `goal` is the most it should be, in the same unit; none where it only informs."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    met: bool | None = None


class Computer(msgspec.Struct, frozen=True):
    """Where it was measured: figures of another machine are not comparable."""

    processor: str
    cores: int
    memory_gib: float
    kernel: str
    acceleration: str


class Run(msgspec.Struct, frozen=True):
    """A whole run, as it is recorded; `changed` tells that files differed from the commit."""

    bench: str
    commit: str
    changed: bool
    at: datetime
    computer: Computer
    figures: tuple[Figure, ...]


def at_most(name: str, value: float, unit: str, goal: float) -> Figure:
    return Figure(name, round(value, 1), unit, goal, value <= goal)


def told(name: str, value: float, unit: str) -> Figure:
    """A figure without a goal."""
    return Figure(name, round(value, 1), unit)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def this_computer(acceleration: str) -> Computer:
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Computer(model, len(os.sched_getaffinity(0)), round(memory / GIB, 1), platform.release(), acceleration)


def record(run: Run) -> Path:
    """Keep the run as the latest of its bench."""
    path = RESULTS / f"{run.bench}.json"
    write_atomically(path, msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")
    return path


def commit(root: Path, runner: Runner) -> tuple[str, bool]:
    """The commit that is checked out, and whether files differ from it."""
    head = runner.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=root).text.strip()
    return head, bool(runner.run(["git", "status", "--porcelain"], cwd=root).text.strip())
