"""How long work tells of its progress, without knowing who listens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Step(Protocol):
    """One piece of work under way."""

    def advance(self, amount: float, *, total: float | None = None) -> None:
        """`amount` more units are done, of `total` when it is known (bytes, packages, files)."""
        ...

    def note(self, text: str) -> None:
        """Something worth one line beside the step's name."""
        ...


class Report(Protocol):
    """Where work announces its steps. `bedplate.cli` shows them, tests record them."""

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """A named step, timed from entry to exit; an exception marks it as failed and goes on."""
        ...

    def skipped(self, name: str, reason: str) -> None:
        """A step that need not run, with the reason (`unchanged`, `already running`)."""
        ...
