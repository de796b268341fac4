"""The steps of an update on the disk, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bedplate.model.plans import Action


class Step(Enum):
    """In the order in which they are taken; the name of each is that of the method that takes it."""

    CLEAR = "clear"
    WRITE = "write_usr"
    SEAL = "seal"
    IDENTIFY = "identify"
    INSTALL = "install"


@dataclass(frozen=True, slots=True)
class Planned:
    """A step and what to tell of it; `first` is the chunk at which writing goes on."""

    step: Step
    action: Action
    first: int = 0
