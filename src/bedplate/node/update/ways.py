"""Which payloads a node could take a part from, the cheapest first."""

from __future__ import annotations

from bedplate.wire.release import PartName, Payload, PayloadKind, Release

SPARE_BYTES = 48 << 20
"""What the agent itself needs beside the memory that a delta asks for."""


def ways_to(release: Release, name: PartName, *, running: str, memory_free: int, allowed: int) -> tuple[Payload, ...]:
    """Deltas against the running version for which there is memory, by size, and the full payload last.

    `memory_free` is what the node has, `allowed` what the agent may take of it, in bytes.
    """
    payloads = [each for each in release.payloads if each.part is name]
    room = min(memory_free, allowed) - SPARE_BYTES
    full = [each for each in payloads if each.kind is PayloadKind.FULL]
    deltas = [
        each
        for each in payloads
        if each.kind is PayloadKind.DELTA and each.base == running and each.memory <= room and each.size < full[0].size
    ]
    return (*sorted(deltas, key=lambda each: each.size), *full)
