"""How much work this machine can take at once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bedplate.model.errors import MachineError


@dataclass(frozen=True, slots=True)
class Capacity:
    """Memory that is free for us, in bytes, and processor cores that we may use."""

    memory: int
    cores: int


def capacity(root: Path = Path("/")) -> Capacity:
    """What the kernel grants this process; `root` is where proc/ and sys/ are."""
    limits = [_available(root / "proc/meminfo"), *_cgroup_limits(root)]
    return Capacity(memory=min(limits), cores=len(os.sched_getaffinity(0)))


def _available(meminfo: Path) -> int:
    for line in meminfo.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise MachineError(f"{meminfo} does not say how much memory is available.")


def _cgroup_limits(root: Path) -> list[int]:
    """The limit of the control group at the top of our view, as containers have one (cgroup v2, memory.max)."""
    file = root / "sys/fs/cgroup/memory.max"
    text = file.read_text().strip() if file.is_file() else "max"
    return [] if text == "max" else [int(text)]
