"""Progress on a terminal as live lines, anywhere else as one plain line for each finished step.

Everything here goes to standard error; results have standard output to themselves.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from bedplate.host.clock import Clock, SystemClock

BYTES_FROM = 100_000
"""Totals from here on can only be bytes: nobody counts packages or files in such numbers."""


class ConsoleReport:
    """Implements `bedplate.host.report.Report`. Steps may be nested and may run in several threads."""

    def __init__(self, console: Console, clock: Clock | None = None, *, refresh: bool = True) -> None:
        self._console = console
        self._clock = clock or SystemClock()
        self._refresh = refresh
        self._lock = threading.Lock()
        self._live: Progress | None = None
        self._open = 0

    @contextmanager
    def step(self, name: str) -> Iterator[ConsoleStep]:
        started = self._clock.monotonic()
        step = ConsoleStep(self._enter(), name)
        mark = "failed"
        try:
            yield step
            mark = "done"
        finally:
            self._leave(step)
            seconds = self._clock.monotonic() - started
            self._print(mark, name, f"{duration(seconds):>7}", step.last_note)

    def skipped(self, name: str, reason: str) -> None:
        self._print("skipped", name, f"{'-':>7}", reason)

    def _enter(self) -> Progress | None:
        with self._lock:
            self._open += 1
            if self._live is None and self._console.is_terminal and not self._console.is_dumb_terminal:
                self._live = _live_lines(self._console, self._clock, refresh=self._refresh)
                self._live.start()
            return self._live

    def _leave(self, step: ConsoleStep) -> None:
        with self._lock:
            step.close()
            self._open -= 1
            if self._open == 0 and self._live is not None:
                self._live.stop()
                self._live = None

    def _print(self, mark: str, name: str, seconds: str, note: str) -> None:
        style = {"done": "green", "failed": "bold red", "skipped": "dim"}[mark]
        line = Text.assemble((f"{mark:<7}", style), f" {seconds}  {name}", (f"  ({note})" if note else "", "dim"))
        self._console.print(line, soft_wrap=True, highlight=False)


class ConsoleStep:
    """Implements `bedplate.host.report.Step`."""

    def __init__(self, live: Progress | None, name: str) -> None:
        self.last_note = ""
        self._live = live
        self._task: TaskID | None = None
        if live is not None:
            self._task = live.add_task(name, total=None, note="")

    def advance(self, amount: float, *, total: float | None = None) -> None:
        if self._live is not None and self._task is not None:
            self._live.update(self._task, advance=amount, total=total)

    def note(self, text: str) -> None:
        self.last_note = text
        if self._live is not None and self._task is not None:
            self._live.update(self._task, note=text)

    def close(self) -> None:
        if self._live is not None and self._task is not None:
            self._live.remove_task(self._task)


def duration(seconds: float) -> str:
    """`4.3 s`, `1:05 min`, `1:02:03 h`: short, and the unit always stands there."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02} h"


def amount(task: Task) -> str:
    """How far a step is, how fast it goes and how long it still takes, as far as these are known."""
    if not task.completed:
        return ""
    in_bytes = max(task.completed, task.total or 0) >= BYTES_FROM
    scale, unit = (1e6, " MB") if in_bytes else (1.0, "")
    of_total = f"/{task.total / scale:.0f}" if task.total else ""
    parts = [f"{task.completed / scale:.0f}{of_total}{unit}"]
    if task.speed and in_bytes:
        parts.append(f"{task.speed / scale:.1f}{unit}/s")
    if task.total and task.time_remaining is not None:
        parts.append(f"{duration(task.time_remaining)} left")
    return ", ".join(parts)


class _Elapsed(TextColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{duration(task.elapsed or 0):>7}")


class _Amount(TextColumn):
    def render(self, task: Task) -> Text:
        return Text(amount(task), style="cyan")


class _Name(TextColumn):
    def render(self, task: Task) -> Text:
        note = str(task.fields.get("note", ""))
        return Text.assemble(task.description, (f"  ({note})" if note else "", "dim"))


def _live_lines(console: Console, clock: Clock, *, refresh: bool) -> Progress:
    return Progress(
        SpinnerColumn("line", table_column=None),
        _Elapsed(""),
        _Name(""),
        _Amount(""),
        console=console,
        transient=True,
        auto_refresh=refresh,
        get_time=clock.monotonic,
    )
