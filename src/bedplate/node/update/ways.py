"""Which payloads a node could take a part from, the cheapest first, and why not from others that are cheaper still."""

from __future__ import annotations

from dataclasses import dataclass

from bedplate.wire.release import PartName, Payload, PayloadKind, Release

SPARE_BYTES = 48 << 20
"""What a process of ours needs beside the memory that a delta asks for."""
LEFT_BYTES = 512 << 20
"""What has to stay free for workloads while a delta is applied apart."""


@dataclass(frozen=True, slots=True)
class Room:
    """Memory in bytes: `free` on the node, and what of that the `agent` and a process `apart` may take."""

    free: int
    agent: int
    apart: int


@dataclass(frozen=True, slots=True)
class Way:
    """A payload, and whether it is applied by a process apart, which may have more memory than the agent."""

    payload: Payload
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Ways:
    """What to try, in this order, the full payload last. `passed_over` are cheaper ones, each with its reason."""

    to_try: tuple[Way, ...]
    passed_over: tuple[str, ...] = ()


def ways_to(release: Release, name: PartName, *, running: str, room: Room, begun: str = "") -> Ways:
    """Deltas against the running version for which there is memory, by size, and the full payload.

    `begun` is the digest of the payload that a process apart was last started for, if nothing came of it.
    """
    payloads = [each for each in release.payloads if each.part is name]
    (full,) = (each for each in payloads if each.kind is PayloadKind.FULL)
    deltas = [each for each in payloads if each.kind is PayloadKind.DELTA and each.base == running]
    ways, passed_over = [], []
    for delta in sorted(deltas, key=lambda each: each.size):
        if delta.size >= full.size:
            continue
        if delta.memory + SPARE_BYTES <= min(room.free, room.agent):
            ways.append(Way(delta))
        elif why_not := against_apart(delta, room, begun):
            passed_over.append(f"{file_of(delta)} is passed over: {why_not}")
        else:
            ways.append(Way(delta, apart=True))
    return Ways((*ways, Way(full)), tuple(passed_over))


def against_apart(delta: Payload, room: Room, begun: str) -> str:
    """Why the delta is not applied by a process apart; empty when it may be."""
    if delta.part is not PartName.UKI:
        return f"it takes {mib(delta.memory)}, and only what is made of a UKI is made apart"
    if delta.memory + SPARE_BYTES > room.apart:
        return f"it takes {mib(delta.memory)}, and {mib(room.apart)} are allowed"
    if delta.memory + LEFT_BYTES > room.free:
        return f"it takes {mib(delta.memory)}, {mib(LEFT_BYTES)} have to stay free, and {mib(room.free)} are"
    if delta.sha256 == begun:
        return "it was tried before and came to nothing"
    return ""


def file_of(payload: Payload) -> str:
    """What people call it."""
    return payload.path.rpartition("/")[2]


def mib(size: int) -> str:
    return f"{size >> 20} MiB"
