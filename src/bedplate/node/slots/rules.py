"""Which slot runs, and which one may be written."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bedplate.model.errors import MachineError
from bedplate.node.slots.loader import Entry
from bedplate.wire.gpt import Slice
from bedplate.wire.uki import root_hash_in
from bedplate.wire.verity import identities_of

LABELS = ("usr-a", "usr-b")
TRIES = 3
"""Boots of a new version, at most, until it is healthy or given up."""
ESP = "esp"


@dataclass(frozen=True, slots=True)
class Slot:
    """One of the two places for /usr: its data, its hash tree and the signature of the tree's root."""

    data: Slice
    tree: Slice
    signature: Slice

    @property
    def name(self) -> str:
        return self.data.label

    @property
    def identities(self) -> tuple[uuid.UUID, uuid.UUID]:
        return self.data.identity, self.tree.identity


@dataclass(frozen=True, slots=True)
class Layout:
    """The slots by what they are for, and the ESP."""

    running: Slot
    other: Slot
    esp: Slice


def root_hash_of(command_line: str) -> str:
    """The root hash of the running /usr, from the kernel's command line. `MachineError` when there is none."""
    found = root_hash_in(command_line)
    if found is None:
        raise MachineError("This is no Bedplate node: its command line names no usrhash.", details=command_line)
    return found


def layout_of(partitions: Iterable[Slice], root_hash: str) -> Layout:
    """Slots are told apart by identity alone: the running one carries that of `root_hash`.

    Raises `MachineError` when a partition is missing, and when not exactly one slot runs: then none may be written.
    """
    named = {each.label: each for each in partitions}
    slots = [_slot(named, label) for label in LABELS]
    wanted = identities_of(root_hash)
    running = [each for each in slots if each.identities == wanted]
    if len(running) != 1:
        raise MachineError(
            f"{'No slot carries' if not running else 'Both slots carry'} the identity of the running version.",
            details=_identities(slots, wanted),
            resolution="The partition table was changed from outside. Delete the machine and make it anew.",
        )
    (other,) = (each for each in slots if each is not running[0])
    return Layout(running[0], other, _partition(named, ESP))


def fallback_of(entries: Iterable[Entry], root_hash: str) -> Entry:
    """The UKI that stays while the other slot is written. `MachineError` when none may be relied on.

    Where a renaming was cut short there are several; the one without tries is taken, or that with the fewest.
    """
    own = [each for each in entries if each.root_hash == root_hash]
    if not own:
        raise MachineError(
            "The ESP has no UKI of the running version.",
            details="To write the other slot now could leave nothing that boots.",
            resolution="Make the machine anew from its image.",
        )
    keep = min(own, key=lambda each: -1 if each.left is None else each.left)
    if not keep.is_proven:
        raise MachineError(
            "The running version has not proven itself yet, so the one before it stays.",
            details=f"The loader counts its tries: {keep.file}.",
            resolution="The health checks decide: see `bedplate node status`.",
        )
    return keep


def is_on_trial(entry: Entry) -> bool:
    """Whether the boot that the loader counted last is one of a version's TRIES.

    One that was set back and is started for want of another is counted from 0 on.
    """
    return entry.left is not None and entry.left + entry.done == TRIES


def _slot(named: Mapping[str, Slice], label: str) -> Slot:
    return Slot(*(_partition(named, f"{label}{suffix}") for suffix in ("", "-verity", "-verity-sig")))


def _partition(named: Mapping[str, Slice], label: str) -> Slice:
    if label not in named:
        raise MachineError(
            f"The disk has no partition {label}.",
            details=f"It has {', '.join(sorted(named)) or 'none'}.",
            resolution="The first boot makes what the image lacks: see the unit systemd-repart in the journal.",
        )
    return named[label]


def _identities(slots: Iterable[Slot], wanted: tuple[uuid.UUID, uuid.UUID]) -> str:
    lines = [f"{each.name}: {each.data.identity}, {each.tree.identity}" for each in slots]
    return "\n".join([*lines, f"running: {wanted[0]}, {wanted[1]}"])
