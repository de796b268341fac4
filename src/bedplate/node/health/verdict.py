"""The gate's verdict on one boot, as the file that the other version may read after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

RECORD = "var/lib/bedplate/update/health.json"
FAILED = "var/lib/bedplate/update/failed.json"
"""The last verdict that was bad: the version that runs after it writes its own into the other file."""


class Verdict(msgspec.Struct, frozen=True):
    """What the gate found of one boot of a version. `boot` is the kernel's id of it, `findings` are what is wrong."""

    version: str
    boot: str
    passed: bool
    at: datetime
    seconds: float
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The files in `root`. One that cannot be read is none, and that is said once: a boot is not judged by it."""

    root: Path
    say: Callable[[str], None]
    said: set[str] = field(default_factory=set)

    def read(self, name: str) -> Verdict | None:
        try:
            return read_verdict((self.root / name).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as problem:
            if name not in self.said:
                self.say(f"A verdict of the health gate cannot be read: {problem}.")
                self.said.add(name)
            return None


def read_verdict(text: bytes) -> Verdict | None:
    """None for what is no verdict: a file that was cut short tells nothing."""
    try:
        return msgspec.json.decode(text, type=Verdict)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
