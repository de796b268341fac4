"""Progress: live on a terminal, a plain line for each finished step elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Task

from bedplate.cli.progress import ConsoleReport, amount, duration
from bedplate.host.report import Report
from bedplate.testing.clock import FakeClock


def a_report(*, terminal: bool) -> tuple[Report, FakeClock, io.StringIO]:
    clock, file = FakeClock(), io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=80, color_system=None, _environ={"TERM": "xterm"})
    return ConsoleReport(console, clock, refresh=False), clock, file


def test_off_a_terminal_a_step_is_one_line_when_it_is_done() -> None:
    report, clock, file = a_report(terminal=False)
    with report.step("Build runc") as step:
        assert file.getvalue() == ""
        step.note("v1.5.2")
        clock.sleep(15)
    assert file.getvalue() == "done     15.0 s  Build runc  (v1.5.2)\n"


def test_a_step_that_raises_is_marked_and_the_error_goes_on() -> None:
    report, _, file = a_report(terminal=False)
    with pytest.raises(ValueError, match="no"), report.step("Build runc"):
        raise ValueError("no")
    assert file.getvalue() == "failed    0.0 s  Build runc\n"


def test_a_skipped_step_gives_its_reason() -> None:
    report, _, file = a_report(terminal=False)
    report.skipped("Build runc", "unchanged")
    assert file.getvalue() == "skipped       -  Build runc  (unchanged)\n"


def test_names_are_never_taken_for_markup() -> None:
    report, _, file = a_report(terminal=False)
    report.skipped("[red]x[/red]", "[b]")
    assert file.getvalue() == "skipped       -  [red]x[/red]  ([b])\n"


def test_a_terminal_shows_the_running_step_and_keeps_the_finished_line() -> None:
    report, clock, file = a_report(terminal=True)
    with report.step("Outer"), report.step("Download") as step:
        step.advance(50, total=100)
        clock.sleep(2)
    assert "Download" in file.getvalue()
    assert "done      2.0 s  Outer" in file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (59.96, "1:00 min"), (65, "1:05 min"), (3723, "1:02:03 h")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("completed", "total", "text"),
    [(0, None, ""), (3, 10, "3/10"), (7, None, "7"), (5_000_000, 20_000_000, "5/20 MB")],
)
def test_amounts_of_many_units_are_bytes(completed: float, total: float | None, text: str) -> None:
    task = Task(0, "x", total, completed, _get_time=lambda: 0.0)  # type: ignore[arg-type]  # a TaskID is an int
    assert amount(task) == text
