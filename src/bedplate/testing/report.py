"""A report that remembers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class RecordedStep:
    """Implements `bedplate.host.report.Step`. `outcome` is `open`, `done` or `failed`."""

    name: str
    outcome: str = "open"
    notes: list[str] = field(default_factory=list)
    amount: float = 0.0
    total: float | None = None

    def advance(self, amount: float, *, total: float | None = None) -> None:
        self.amount += amount
        self.total = total

    def note(self, text: str) -> None:
        self.notes.append(text)


class RecordedReport:
    """Implements `bedplate.host.report.Report`; `skips` are names with their reasons."""

    def __init__(self) -> None:
        self.steps: list[RecordedStep] = []
        self.skips: list[tuple[str, str]] = []

    @contextmanager
    def step(self, name: str) -> Iterator[RecordedStep]:
        step = RecordedStep(name)
        self.steps.append(step)
        try:
            yield step
        except BaseException:
            step.outcome = "failed"
            raise
        step.outcome = "done"

    def skipped(self, name: str, reason: str) -> None:
        self.skips.append((name, reason))

    def outcomes(self) -> dict[str, str]:
        return {step.name: step.outcome for step in self.steps}
