"""The gate's verdict on one boot, as the file that the other version may read after it."""

from __future__ import annotations

from datetime import datetime

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


def read_verdict(text: bytes) -> Verdict | None:
    """None for what is no verdict: a file that was cut short tells nothing."""
    try:
        return msgspec.json.decode(text, type=Verdict)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
