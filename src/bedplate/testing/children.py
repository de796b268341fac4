"""Processes that exist in memory only, and end when a test says so."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bedplate.model.errors import MachineError


class FakeChildren:
    """Implements `bedplate.host.children.Children`.

    `running` maps the number of each live process to its command line. Names in `stubborn` ignore
    SIGTERM; names in `missing` cannot be started. `on_end` is called after each end, as SIGCHLD would.
    """

    def __init__(self) -> None:
        self.running: dict[int, tuple[str, ...]] = {}
        self.stubborn: set[str] = set()
        self.missing: set[str] = set()
        self.signals: list[tuple[str, str]] = []
        self.on_end: Callable[[], None] = lambda: None
        self._ended: list[tuple[int, int]] = []
        self._next = 100

    def start(self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> int:
        del cwd, env, log
        if argv[0] in self.missing:
            raise MachineError(f"{argv[0]} cannot be started.")
        self._next += 1
        self.running[self._next] = tuple(argv)
        return self._next

    def end(self, number: int, code: int) -> None:
        """The process ends by itself, or by a signal when `code` is negative."""
        del self.running[number]
        self._ended.append((number, code))
        self.on_end()

    def ask_to_end(self, number: int) -> None:
        name = self.running[number][0]
        self.signals.append((name, "TERM"))
        if name not in self.stubborn:
            self.end(number, -signal.SIGTERM)

    def kill(self, number: int) -> None:
        self.signals.append((self.running[number][0], "KILL"))
        self.end(number, -signal.SIGKILL)

    def reap(self) -> list[tuple[int, int]]:
        ended, self._ended = self._ended, []
        return ended
