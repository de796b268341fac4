"""Plans: what would be done, and why, before anything is done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verb(Enum):
    """Whether an action changes the world or states why it need not."""

    RUN = "run"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Action:
    """One step of a plan.

    `name` says what, in words a person recognises; `reason` says why it runs or why it need not;
    `seconds` is the expected duration on two cores, 0 where it is not worth naming.
    """

    name: str
    verb: Verb
    reason: str
    seconds: float = 0.0

    @property
    def runs(self) -> bool:
        return self.verb is Verb.RUN
