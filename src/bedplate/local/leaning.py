"""What clusters on this computer lean on, be they up or not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bedplate.local.machines.qemu import DISK
from bedplate.local.order import RECORD, read_order
from bedplate.model.errors import MachineError

MAGIC = b"QFI\xfb"
HEAD_BYTES = 20


def leaning(clusters: Path) -> Mapping[Path, str]:
    """Paths that the clusters kept in `clusters` need, with what needs them.

    Raises `OurError` or `MachineError` for what cannot be read: then nobody knows.
    """
    found: dict[Path, str] = {}
    for record in sorted(clusters.glob(f"*/{RECORD}")):
        folder = record.parent
        order = read_order(folder)
        for path in (*order.programs.values(), order.manifests, order.debian, order.image):
            found[path.resolve()] = f"cluster {folder.name} is made of it"
    for disk in sorted(clusters.glob(f"*/machines/[!.]*/{DISK}")):
        backing = backing_file(disk)
        if backing:
            found[backing.resolve()] = f"the disk of {disk.parent.name} in cluster {disk.parents[2].name} leans on it"
    return found


def backing_file(disk: Path) -> Path | None:
    """The file of which a qcow2 image holds the differences (QEMU, docs/interop/qcow2.txt); none where it is whole."""
    try:
        with disk.open("rb") as opened:
            head = opened.read(HEAD_BYTES)
            offset, size = int.from_bytes(head[8:16]), int.from_bytes(head[16:20])
            opened.seek(offset)
            name = opened.read(size)
    except OSError as problem:
        raise unreadable(disk, str(problem)) from problem
    if len(head) < HEAD_BYTES or not head.startswith(MAGIC) or len(name) < size:
        raise unreadable(disk, "It is not a qcow2 image, or not a whole one.")
    return disk.parent / os.fsdecode(name) if offset else None


def unreadable(disk: Path, details: str) -> MachineError:
    return MachineError(
        f"{disk} does not tell what it leans on.",
        details=details,
        resolution="Remove its machine or its cluster: `bedplate cluster down --all`.",
    )
