"""What every command starts from: where things are kept, and where progress is told."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from rich.console import Console

from bedplate.cli.progress import ConsoleReport
from bedplate.host.places import Places
from bedplate.host.report import Report

_environment: ContextVar[Mapping[str, str]] = ContextVar("environment", default=os.environ)


@contextmanager
def started_in(environment: Mapping[str, str]) -> Iterator[None]:
    """A block in which `places` go by that environment."""
    before = _environment.set(environment)
    try:
        yield
    finally:
        _environment.reset(before)


def places() -> Places:
    return Places.from_environment(_environment.get())


def environment() -> Mapping[str, str]:
    """Everything that the user's shell has set, for what is his own: it may hold secrets, and goes nowhere else."""
    return dict(_environment.get())


@cache
def progress_console() -> Console:
    """The one console for progress and messages; rich honours NO_COLOR, FORCE_COLOR and TERM=dumb."""
    return Console(stderr=True)


@cache
def report() -> Report:
    """One report for the whole command, since two sets of live lines would overwrite each other."""
    return ConsoleReport(progress_console())
