"""What the agent lays out for the process that packs a kernel again, and what that leaves: files in one folder."""

from __future__ import annotations

UNIT = "bedplate-repack.service"
FOLDER = "var/lib/bedplate/repack"
PART, DELTA, BASE, BESIDE = "part.json", "delta", "base", "beside"
"""The description of what is to be made, the delta, the UKI that runs, and the new /usr.

Of the new /usr only what the delta refers to is there; the rest is a hole.
"""
MADE = "made"
"""What was made; it counts for nothing until its digest has been found right."""
UNIT_BYTES = 1 << 30
"""What the unit may have (MemoryMax=)."""
MOST_BYTES = 256 << 20
"""No file that is made may be larger, nor a delta make more (LimitFSIZE= of the unit)."""
