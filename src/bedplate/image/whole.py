"""Whether an image in the cache is all there, as far as names and sizes tell.

What is in the files is not read: they are large, and every machine checks them when it boots.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bedplate.image.describe import PARTITIONS
from bedplate.image.manifest import Manifest, read_manifest
from bedplate.model.errors import MachineError


def damage(folder: Path) -> str:
    """What is wrong with the image in `folder`, in one line; empty when nothing is."""
    try:
        manifest = read_manifest(folder)
    except MachineError as problem:
        return f"its manifest cannot be read: {problem.details}"
    return next(_wrong_files(folder, manifest), "")


def _wrong_files(folder: Path, manifest: Manifest) -> Iterator[str]:
    least = {PARTITIONS[each.label]: each.used for each in manifest.partitions if each.label in PARTITIONS}
    least |= {"disk.raw": sum(each.size for each in manifest.partitions), "db.crt": 1, "initrd.zst": 1}
    for name, size in least.items():
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing"
        elif path.stat().st_size < size:
            yield f"{name} is cut short"
