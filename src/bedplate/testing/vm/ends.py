"""What the machines said last, for the message of a test that failed."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from bedplate.local.machines.qemu import CONSOLE
from bedplate.testing.vm import console


@runtime_checkable
class HasConsoles(Protocol):
    """Something a test uses that has machines."""

    def consoles(self) -> str:
        """The ends of all their consoles."""
        ...


def read_ends(machines: Path) -> str:
    """The end of each console in the folder of a provider's machines, under the machine's name."""
    files = sorted(machines.glob(f"[!.]*/{CONSOLE}"))
    ends = {file.parent.name: console.end(console.clean(file.read_bytes())) for file in files}
    return "\n".join(f"--- console of {name}\n{end}" for name, end in ends.items())
