"""Plans as every `--dry-run` prints them: what would be done, and why, in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

import msgspec
import typer

from bedplate.cli.output import OutputFormat, emit
from bedplate.cli.progress import duration
from bedplate.model.plans import Action, Verb

DryRunOption: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and why.")]
COLUMNS = {"Action": "action", "Verb": "verb", "Reason": "reason"}


class PlannedStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a plan. `seconds` is expected on two cores, 0 where it is not worth naming."""

    action: str
    verb: Verb
    reason: str
    seconds: float = 0.0

    @property
    def takes(self) -> str:
        return duration(self.seconds) if self.seconds else ""


def planned(actions: Sequence[Action]) -> list[PlannedStep]:
    return [PlannedStep(action=each.name, verb=each.verb, reason=each.reason, seconds=each.seconds) for each in actions]


def emit_plan(actions: Sequence[Action], *, output: OutputFormat) -> None:
    """Print what would be done, with times where any step has one."""
    timed = any(action.seconds for action in actions)
    emit(planned(actions), output=output, columns=COLUMNS | ({"Takes": "takes"} if timed else {}))


def emit_done(actions: Sequence[Action], *, output: OutputFormat) -> None:
    """Print a plan that was carried out."""
    emit(planned(actions), output=output, columns={"Done": "action", "Reason": "reason"})
