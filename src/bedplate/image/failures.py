"""Whose fault it is that the programs which install packages failed, by what they said."""

from __future__ import annotations

from pathlib import Path

from bedplate.host.files import no_space
from bedplate.host.run import ProgramFailed
from bedplate.model.errors import BedplateError, MachineError, UserError

LINES, CHARACTERS = 10, 200
MKOSI_SAYS = "‣ "
IT_RAN_SOMETHING = "returned non-zero exit code"


def of_mkosi(failed: ProgramFailed, tree: Path, log: Path) -> BedplateError:
    """Of its settings mkosi complains in its own words; of a program that failed it tells the exit code."""
    said = [line for line in failed.tail if line.startswith(MKOSI_SAYS)]
    if said and not failed.for_want_of_space and not any(IT_RAN_SOMETHING in line for line in said):
        return UserError(
            "mkosi rejects the recipe.",
            details=last_lines(failed, log),
            resolution="Correct os/mkosi.conf; mkosi(1) has every setting.",
        )
    return of_installer("mkosi", failed, tree, log)


def of_installer(name: str, failed: ProgramFailed, tree: Path, log: Path) -> MachineError:
    """What kept the program `name` from filling `tree`."""
    if failed.for_want_of_space:
        return no_space(tree, last_lines(failed, log))
    return MachineError(
        f"{name} could not install the packages.",
        details=last_lines(failed, log),
        resolution="The output has the first error, then try again: what was downloaded is kept.",
    )


def last_lines(failed: ProgramFailed, log: Path) -> str:
    """The end of the output, in lines that people can read, and where all of it is."""
    lines = [line if len(line) <= CHARACTERS else f"{line[:CHARACTERS]}…" for line in failed.tail[-LINES:]]
    return "\n".join([*lines, f"whole output: {log}"])
