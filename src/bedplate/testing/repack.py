"""PID 1 as far as the unit goes that makes parts apart: it makes them for real, or does as a test says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bedplate.host.run import Completed
from bedplate.model.errors import PeerError
from bedplate.node.repack.job import UNIT
from bedplate.node.repack.make import make
from bedplate.testing.runner import completed


@dataclass
class FakeUnit:
    """Answers systemctl for `UNIT`; everything else succeeds in silence.

    `work` is what its process does with the folder, `result` how that ends, `looks` how often it is found at work.
    """

    folder: Path
    work: Callable[[Path], None] = make
    result: str = "success"
    looks: int = 1
    asked: list[str] = field(default_factory=list)
    """The verbs, in order."""
    _busy: int = 0
    _ended: str = "success"

    def act(self, argv: tuple[str, ...]) -> Completed:
        if argv[0] != "systemctl" or argv[-1] != UNIT:
            return completed(argv)
        self.asked.append(argv[1])
        match argv[1]:
            case "start":
                self._start()
            case "stop":
                self._busy = 0
            case "reset-failed":
                self._ended = "success"
            case "show":
                return completed(argv, stdout=self._show().encode())
        return completed(argv)

    def _start(self) -> None:
        self._busy, self._ended = self.looks, self.result
        try:
            self.work(self.folder)
        except PeerError:
            self._ended = "exit-code"

    def _show(self) -> str:
        if self._busy:
            self._busy -= 1
            return "ActiveState=activating\nJob=7\nResult=success\n"
        return f"ActiveState={'inactive' if self._ended == 'success' else 'failed'}\nJob=\nResult={self._ended}\n"
