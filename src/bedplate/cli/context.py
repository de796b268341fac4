"""What every command starts from: where things are kept, and where progress is told."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from rich.console import Console

from bedplate.cli.progress import ConsoleReport
from bedplate.host.places import Places
from bedplate.host.report import Report

STARTED_AS = "BEDPLATE_COMMAND"
"""Set by `./dev`, through which people start us from a checkout: there is no `bedplate` on their path then."""
HINT = re.compile(r"(?<![\w./-])(?<!dev )bedplate(?= [a-z])")
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


def command() -> str:
    """What the user types to start us."""
    return _environment.get().get(STARTED_AS) or "bedplate"


def typed(text: str) -> str:
    """The text with each `bedplate …` in it as the user can type it; everybody writes hints without knowing how."""
    return HINT.sub(lambda _: command(), text)


def say(text: str) -> None:
    """Tell people something that is no result: on standard error, each line as it is."""
    progress_console().print(typed(text), highlight=False, soft_wrap=True)


@cache
def progress_console() -> Console:
    """The one console for progress and messages; rich honours NO_COLOR, FORCE_COLOR and TERM=dumb."""
    return Console(stderr=True)


@cache
def report() -> Report:
    """One report for the whole command, since two sets of live lines would overwrite each other."""
    return ConsoleReport(progress_console())
