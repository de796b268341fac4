"""PINs of tokens: from the environment, or from a file that is its owner's alone. Never from a command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bedplate.model.errors import UserError

PIN = "BEDPLATE_SIGNING_PIN"
FOR_OTHERS = 0o077


def read_pin(file: Path) -> str:
    """The first line of a file that is its owner's alone."""
    try:
        others, lines = file.stat().st_mode & FOR_OTHERS, file.read_text().splitlines()
    except (OSError, ValueError) as problem:
        raise UserError(f"The PIN cannot be read from {file}.", details=str(problem)) from problem
    if others:
        raise UserError(f"Others may read the PIN in {file}.", resolution=f"Run: chmod 600 {file}")
    return lines[0] if lines else ""


def pin_in(environment: Mapping[str, str], where: str) -> str:
    """The PIN in the environment; `where` is what could name a file with it instead, in words."""
    if PIN not in environment:
        raise UserError(
            "There is no PIN for the token.",
            resolution=f"Put it into the environment as {PIN}, empty if the token wants none,\n"
            f"or name a file with it in {where}.",
        )
    return environment[PIN]
