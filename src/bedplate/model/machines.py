"""Machines, and what a provider of machines does: the seam between pools and wherever machines come from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from bedplate.model.errors import UserError

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""A DNS label (RFC 1123), since a machine's name becomes its node's name."""


class MachineState(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"


class Power(StrEnum):
    """What the power button of a server does; the system on it is not asked."""

    ON = "on"
    OFF = "off"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as its provider sees it. `number` is unique within the cluster and decides `address`."""

    name: str
    number: int
    pool: str
    address: str
    state: MachineState


@dataclass(frozen=True, slots=True)
class MachineOrder:
    """What a machine is to be: a function of its image and of what it is told.

    `image` is a folder that `bedplate image build` made. `credentials` are the systemd system
    credentials that give the machine its identity, by name; they are secrets and never shown.
    """

    number: int
    name: str
    pool: str
    image: Path
    credentials: Mapping[str, bytes] = field(repr=False)
    memory_mb: int = 2048
    cpus: int = 2

    def __post_init__(self) -> None:
        if NAME.fullmatch(self.name) is None:
            raise UserError(
                f"{self.name!r} cannot be the name of a machine.",
                resolution="Use lower-case letters, digits and dashes, at most 63.",
            )


class MachineProvider(Protocol):
    """Where machines come from. A name that no machine has raises `UserError`."""

    def create(self, order: MachineOrder) -> Machine:
        """Make the machine and switch it on. Raises `UserError` when its name or number is taken."""
        ...

    def delete(self, name: str) -> None:
        """Cut its power and remove everything that was its own."""
        ...

    def list(self) -> Sequence[Machine]:
        """Every machine, by number."""
        ...

    def reimage(self, order: MachineOrder) -> Machine:
        """Give the machine of that name and number a new disk and new credentials, and switch it on."""
        ...

    def equip(self, name: str, credentials: Mapping[str, bytes]) -> None:
        """Give a machine these credentials from its next start on, each in place of the one of that name."""
        ...

    def power(self, name: str, power: Power) -> Machine:
        """Press the power button. Switching on what is on, or off what is off, changes nothing."""
        ...
