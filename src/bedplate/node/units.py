"""What PID 1 says of its units."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from bedplate.host.run import Runner
from bedplate.model.errors import BedplateError

RESTARTING = "auto-restart"
LIMIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class BadUnit:
    """A unit that failed, or that ends again and again; `last_words` is the last line in its log."""

    name: str
    restarts: bool
    last_words: str = ""


@dataclass(frozen=True, slots=True)
class UnitRun:
    """How the last run of a unit goes: whether it is `busy`, and its `result`, of use once it is not (`Result=`)."""

    busy: bool
    result: str


class Unit(msgspec.Struct, frozen=True):
    """One row of `systemctl list-units --output=json`."""

    unit: str
    active: str
    sub: str


def bad_units(runner: Runner) -> tuple[BadUnit, ...] | None:
    """Units that failed or that end again and again; None when PID 1 does not answer."""
    argv = ["systemctl", "list-units", "--all", f"--state=failed,{RESTARTING}", "--output=json"]
    try:
        rows = msgspec.json.decode(runner.run(argv, seconds=LIMIT_SECONDS).stdout, type=tuple[Unit, ...])
    except (BedplateError, msgspec.MsgspecError):  # a machine on its way down; the next round asks again
        return None
    return tuple(BadUnit(row.unit, row.sub == RESTARTING, last_words(runner, row.unit)) for row in rows)


def last_words(runner: Runner, unit: str) -> str:
    """The last line that the unit's own process wrote: PID 1's remarks on its end say less."""
    argv = ["journalctl", f"_SYSTEMD_UNIT={unit}", "--boot", "--lines=1", "--output=cat", "--quiet"]
    try:
        lines = runner.run(argv, seconds=LIMIT_SECONDS).text.splitlines()
    except BedplateError:
        return ""
    return lines[-1].strip() if lines else ""


def unit_state(runner: Runner, unit: str) -> str:
    """The word of `systemctl is-active`; empty when PID 1 does not answer."""
    try:
        return runner.run(["systemctl", "is-active", unit], ok=range(256), seconds=LIMIT_SECONDS).text.strip()
    except BedplateError:
        return ""


def unit_run(runner: Runner, unit: str) -> UnitRun:
    """How the run of a unit goes that ends by itself (Type=oneshot). A job that waits for its turn counts as busy.

    Raises `MachineError` when PID 1 does not answer.
    """
    argv = ["systemctl", "show", "--property=ActiveState,Job,Result", unit]
    lines = runner.run(argv, seconds=LIMIT_SECONDS).text.splitlines()
    told = {name: value for name, _, value in (line.partition("=") for line in lines)}
    busy = told.get("ActiveState", "").endswith("activating") or told.get("Job", "") not in ("", "0")
    return UnitRun(busy, told.get("Result", ""))
