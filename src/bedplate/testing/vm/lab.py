"""Where test machines live: a cell of their own, and whatever happens, nothing left of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bedplate.host.clock import Clock, SystemClock
from bedplate.host.run import Runner
from bedplate.local.cell.client import Cell, open_cell
from bedplate.local.cell.lan import Lan
from bedplate.local.machines.firmware import find_firmware
from bedplate.local.machines.kvm import choose_acceleration
from bedplate.local.machines.provider import LocalProvider
from bedplate.model.machines import MachineOrder
from bedplate.testing.vm.ends import read_ends
from bedplate.testing.vm.machine import Say, Vm

POOL = "test"


@dataclass(slots=True)
class Lab:
    """Makes machines, numbered in the order in which they were made."""

    cell: Cell
    provider: LocalProvider
    clock: Clock
    say: Say
    made: list[Vm] = field(default_factory=list)

    def boot(self, image: Path, *, announced: Sequence[str] = (), credentials: Mapping[str, bytes] | None = None) -> Vm:
        """A machine with a disk over `image`'s, just switched on.

        `announced` are the troubles that the test provokes; `credentials` are added to its host name.
        """
        number = len(self.made) + 1
        name = f"vm{number}"
        self.say(f"Boot {name} from {image}.")
        given = {"system.hostname": name.encode(), **(credentials or {})}
        order = MachineOrder(number=number, name=name, pool=POOL, image=image, credentials=given)
        vm = Vm(self.provider.create(order), self.provider, self.cell, self.clock, self.say)
        vm.announce(*announced)
        self.made.append(vm)
        return vm

    def consoles(self) -> str:
        """The ends of all consoles, for the message of a test that failed."""
        return read_ends(self.provider.folder)


@contextmanager
def open_lab(folder: Path, *, runner: Runner, say: Say, templates: Path | None = None) -> Iterator[Lab]:
    """A lab in `folder`, which everything that runs is gone from at the end. `templates` caches firmware variables."""
    cell = open_cell(folder / "cell", relays={})
    try:
        lan = Lan(cell, folder / "lan")
        lan.prepare()
        accelerator = choose_acceleration(runner).kind
        machines = folder / "machines"
        provider = LocalProvider(
            cell, lan, machines, templates or folder / "templates", runner, find_firmware(), accelerator
        )
        yield Lab(cell, provider, SystemClock(), say)
    finally:
        cell.shutdown()
