"""The verbs: what a test does to a machine, and what it waits for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from bedplate.host.clock import Clock, wait_until
from bedplate.local.cell import network
from bedplate.local.cell.client import Cell
from bedplate.local.machines.provider import LocalProvider
from bedplate.model.machines import Machine, MachineState, Power
from bedplate.testing.vm import console

POLL_SECONDS = 0.2

Say = Callable[[str], None]


class VmFailed(AssertionError):
    """The machine did not do what the test waits for; the message ends with the end of its console."""


@dataclass(slots=True)
class Vm:
    """One machine. Waits look at what it wrote since it was last switched on, reset or restored.

    `announced` are troubles, by name, that the test provokes. `began` is how much of the console, in
    bytes, was there before.
    """

    machine: Machine
    provider: LocalProvider
    cell: Cell
    clock: Clock
    say: Say
    announced: frozenset[str] = frozenset()
    began: int = field(default=0)

    @property
    def name(self) -> str:
        return self.machine.name

    def console(self) -> str:
        """What the machine has written since it began, without control sequences."""
        return console.clean(self.raw_console())

    def raw_console(self) -> bytes:
        return self.provider.console(self.name).read_bytes()[self.began :]

    def wait_for(self, wanted: str | re.Pattern[str], *, seconds: float) -> re.Match[str]:
        """Wait until the console shows `wanted`, and return where.

        Raises `VmFailed` after `seconds`, and at once when an unannounced trouble shows or QEMU has ended.
        """
        shown = wanted if isinstance(wanted, str) else wanted.pattern
        self.say(f"Wait at most {seconds:.0f} s for {shown!r} on the console of {self.name}.")

        def missing() -> str:
            runs = self._runs()  # asked first: what it wrote before it ended counts
            text = self.console()
            self._refuse_trouble(text)
            if console.find(text, wanted):
                return ""
            if not runs:
                raise self._failed(f"{self.name} stopped before it showed {shown!r}")
            return shown

        waited = wait_until(missing, self.clock, seconds=seconds, every=POLL_SECONDS)
        found = console.find(self.console(), wanted)
        if waited.missing or found is None:
            raise self._failed(f"{self.name} did not show {shown!r} within {seconds:.0f} s")
        self.say(f"{self.name} showed it after {waited.seconds:.1f} s.")
        return found

    def wait_while(self, missing: Callable[[], str], *, seconds: float) -> None:
        """Wait until `missing`, asked again and again, names nothing.

        Raises `VmFailed` after `seconds`, and at once when an unannounced trouble shows or QEMU has ended.
        """

        def left() -> str:
            runs = self._runs()  # asked first, as above
            self._refuse_trouble(self.console())
            if (what := missing()) and not runs:
                raise self._failed(f"{self.name} stopped, and {what}")
            return what

        waited = wait_until(left, self.clock, seconds=seconds, every=POLL_SECONDS)
        if waited.missing:
            raise self._failed(f"After {seconds:.0f} s of {self.name}, {waited.missing}")

    def expect_never_shown(self, unwanted: str | re.Pattern[str]) -> None:
        """Raises `VmFailed` when the console has shown `unwanted`."""
        if found := console.find(self.console(), unwanted):
            raise self._failed(f"{self.name} showed {found[0]!r}")

    def expect_no_trouble(self) -> None:
        """Raises `VmFailed` when the console shows a trouble that was not announced."""
        self._refuse_trouble(self.console())

    def announce(self, *troubles: str) -> None:
        """From here on, these troubles are part of the test. They are names in `console.TROUBLES`."""
        if unknown := set(troubles) - console.names():
            raise ValueError(f"No trouble is called {', '.join(sorted(unknown))}.")
        self.announced |= set(troubles)

    def crash(self) -> None:
        """Cut the power."""
        self.say(f"Cut the power of {self.name}.")
        self.provider.power(self.name, Power.OFF)

    def switch_on(self) -> None:
        self.say(f"Switch {self.name} on.")
        self._begin()
        self.provider.power(self.name, Power.ON)

    def reset(self) -> None:
        """Press the reset button."""
        self.say(f"Reset {self.name}.")
        self._begin()
        self.provider.power(self.name, Power.RESET)

    def cut_network(self) -> None:
        """Pull the network cable, at the far end: the machine's own link stays up."""
        self.say(f"Cut the network of {self.name}.")
        self.cell.run(["ip", "link", "set", network.tap(self.machine.number), "down"])

    def mend_network(self) -> None:
        self.say(f"Mend the network of {self.name}.")
        self.cell.run(["ip", "link", "set", network.tap(self.machine.number), "up"])

    def save(self, tag: str) -> None:
        """Keep memory and disk under `tag`; the machine goes on."""
        self.say(f"Save {self.name} as {tag!r}.")
        self.provider.save(self.name, tag)

    def restore(self, tag: str) -> None:
        """Go back to what was kept under `tag`, whether the machine runs or not."""
        self.say(f"Put {self.name} back to {tag!r}.")
        self._begin()
        if self._runs():
            self.provider.restore(self.name, tag)
        else:
            self.provider.resume(self.name, tag)

    def stop(self) -> None:
        """Cut the power and remove everything that was the machine's own."""
        self.say(f"Remove {self.name}.")
        self.provider.delete(self.name)

    def _begin(self) -> None:
        self.began = self.provider.console(self.name).stat().st_size

    def _runs(self) -> bool:
        return any(known.name == self.name and known.state is MachineState.RUNNING for known in self.provider.list())

    def _refuse_trouble(self, text: str) -> None:
        if trouble := console.find_trouble(text, announced=self.announced):
            raise self._failed(f"{self.name} is in trouble, {trouble}")

    def _failed(self, what: str) -> VmFailed:
        return VmFailed(f"{what}. Its console ends so:\n{console.end(self.console())}")
