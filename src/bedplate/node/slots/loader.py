"""What systemd-boot makes of the UKIs on the ESP: which it lists, in which order, and how it counts tries.

A model of src/boot/boot.c of systemd 257.13. Unless somebody chooses otherwise at the console, the first entry boots.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """A UKI that the loader lists. `left` and `done` count tries; `left` is None for one without a counter."""

    file: str
    version: str
    root_hash: str
    left: int | None = None
    done: int = 0
