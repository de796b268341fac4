"""Verdicts: everything that was found, each with what to do, and then whether it is fatal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """An ERROR makes going on pointless, a WARNING costs something, GOOD was checked and holds."""

    ERROR = "error"
    WARNING = "warning"
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. `about` names what was looked at, `advice` is what the reader can do."""

    severity: Severity
    about: str
    message: str
    advice: str = ""


def fatal(findings: Iterable[Finding]) -> bool:
    return any(finding.severity is Severity.ERROR for finding in findings)


def as_lines(findings: Iterable[Finding]) -> str:
    """The findings as lines for the details of an error, each with its advice."""
    return "\n".join(f"{each.about}: {each.message}" + (f" {each.advice}" if each.advice else "") for each in findings)
