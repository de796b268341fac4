"""Monitors of machines that do not exist."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from bedplate.model.errors import MachineError


class FakeMonitors:
    """Gives out monitors by path, as `bedplate.local.machines.qmp.Monitor` does.

    `silent` is how many of the next connections nobody answers yet; `said` are the commands given, as
    pairs of a machine's folder name and the command.
    """

    def __init__(self) -> None:
        self.silent = 0
        self.said: list[tuple[str, str]] = []

    def __call__(self, path: Path) -> FakeMonitor:
        if self.silent:
            self.silent -= 1
            raise MachineError("The machine's monitor does not answer.")
        return FakeMonitor(path.parent.name, self.said)


class FakeMonitor:
    """Implements `bedplate.local.machines.qmp.MachineMonitor`; always runs, records what it is told."""

    def __init__(self, machine: str, said: list[tuple[str, str]]) -> None:
        self._machine = machine
        self._said = said

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def status(self) -> str:
        return "running"

    def reset(self) -> None:
        self._said.append((self._machine, "reset"))

    def save(self, tag: str, nodes: tuple[str, ...]) -> None:
        self._said.append((self._machine, f"save {tag} {' '.join(nodes)}"))

    def restore(self, tag: str, nodes: tuple[str, ...]) -> None:
        self._said.append((self._machine, f"restore {tag} {' '.join(nodes)}"))

    def plug_in(self, stick: Path) -> None:
        self._said.append((self._machine, f"plug in {stick}"))

    def pull_out(self) -> None:
        self._said.append((self._machine, "pull out"))
