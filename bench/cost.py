"""What a program takes, as GNU time tells of it: processor time and memory of a process that begins as a small one."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bedplate.host.run import Runner
from bedplate.model.errors import OurError

FORMAT = "%U %S %e %M"


class Cost(msgspec.Struct, frozen=True):
    """`cpu` and `wall` in seconds. `memory` in bytes is the most that one process of it had, mapped files included."""

    cpu: float
    wall: float
    memory: int

    def __add__(self, other: Cost) -> Cost:
        """One after the other."""
        return Cost(self.cpu + other.cpu, self.wall + other.wall, max(self.memory, other.memory))


NOTHING = Cost(0.0, 0.0, 0)


def cost_of(argv: Sequence[str | Path], runner: Runner, *, cwd: Path | None = None) -> Cost:
    """Run a program to its end. What we hold ourselves is not counted: a child of ours would inherit our peak."""
    with tempfile.TemporaryDirectory(prefix="bedplate-bench-") as folder:
        told = Path(folder) / "cost"
        runner.run(["time", f"--format={FORMAT}", f"--output={told}", *argv], cwd=cwd)
        return parse_cost(told.read_text())


def parse_cost(text: str) -> Cost:
    """Of a line in `FORMAT`: time(1) gives kibibytes. Raises `OurError` for anything else."""
    try:
        user, system, wall, kibibytes = text.split()
        return Cost(float(user) + float(system), float(wall), int(kibibytes) << 10)
    except ValueError as problem:
        raise OurError("`time` did not say what a program took.", details=text) from problem
