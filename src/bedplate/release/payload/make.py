"""Deltas, made by the publisher and tried before they are used."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bedplate.host.files import file_sha256, space_for
from bedplate.model.errors import OurError, PeerError
from bedplate.release.payload.apply import rebuild_delta
from bedplate.release.payload.delta.format import Segment, most_commands
from bedplate.release.payload.delta.script import Script
from bedplate.release.payload.delta.uki import KERNEL_LEVEL, kernel_of, write_uki
from bedplate.release.payload.delta.usr import write_usr
from bedplate.release.payload.parts import describe_part
from bedplate.wire.release import PartName, Payload, PayloadKind

PAYS_BELOW = 0.7
"""Of another payload's size: a delta that is larger is not worth its file and the node's time."""
MEMORY = 64 << 20
"""What a node needs for a delta that packs nothing again: a chunk, the streams' windows, the batch of a sum."""
TABLES = 704 << 20
"""What zstd's level 22 takes for an input of any size: it fills tables of 512 and 128 MiB before it begins."""


def kernel_memory(inner: int) -> int:
    """What a node needs for a delta by which it packs a kernel of `inner` bytes again."""
    return MEMORY + TABLES + 2 * inner


@dataclass(frozen=True, slots=True)
class Base:
    """The part in `file` of an older `version`."""

    version: str
    file: Path


def make_usr_delta(base: Base, new: Path, target: Path, *, path: str) -> Payload:
    """Write the delta that makes the image `new` of the older one, whose target in the repository is `path`.

    It is applied once before it counts. Raises `OurError` when that does not give the image.
    """
    with mapped(base.file) as old, mapped(new) as after:
        script = Script()
        write_usr(script, old, after)
        with space_for(target), target.open("wb") as sink:
            script.write(sink, base=[Segment(len(old))], part=[Segment(len(after))])
        if script.commands > most_commands(len(after)):
            raise OurError(f"The delta from {base.version} has more commands than a node carries out.")
    _try(base, new, target)
    return _described(PartName.USR, base, target, path, memory=MEMORY)


def make_uki_delta(base: Base, new: Path, usr: Path, target: Path, *, path: str, kernel: bool) -> Payload:
    """Write the delta that makes the UKI `new` of the older one and of the new image `usr`.

    With `kernel` the kernels are compared unpacked, and a node packs the new one again: less to fetch, but some 30
    seconds and `kernel_memory` on the node. Raises `OurError` as `make_usr_delta` does.
    """
    old, after = base.file.read_bytes(), new.read_bytes()
    with mapped(usr) as beside:
        script = Script()
        before, segments = write_uki(script, old, after, beside, kernel=kernel)
        with space_for(target), target.open("wb") as sink:
            script.write(sink, base=before, part=segments, beside=len(beside))
        _try(base, new, target, beside=beside)
    kernels = [segment.inner for segment in segments if segment.level == KERNEL_LEVEL]
    memory = max([MEMORY, *map(kernel_memory, kernels)])
    return _described(PartName.UKI, base, target, path, memory=memory)


def same_kernel(old: Path, new: Path) -> bool:
    """Whether two UKIs have the same packed kernel, so that none has to be packed again."""
    return kernel_of(old.read_bytes()) == kernel_of(new.read_bytes())


def _described(part: PartName, base: Base, delta: Path, path: str, *, memory: int) -> Payload:
    return Payload(
        part=part,
        kind=PayloadKind.DELTA,
        path=path,
        size=delta.stat().st_size,
        sha256=file_sha256(delta),
        base=base.version,
        base_sha256=file_sha256(base.file),
        memory=memory,
    )


def pays(delta: Payload, other: Payload) -> str:
    """Why the delta is not worth keeping beside another payload that costs a node less; empty when it is."""
    if delta.size <= other.size * PAYS_BELOW:
        return ""
    whose = "the full payload's" if other.kind is PayloadKind.FULL else "the larger delta's"
    return f"it has {delta.size / other.size:.0%} of {whose} size"


def _try(base: Base, new: Path, delta: Path, *, beside: memoryview | None = None) -> None:
    try:
        with mapped(base.file) as old, delta.open("rb") as opened:
            others = MappedAt(beside) if beside is not None else None
            for _ in rebuild_delta(opened, MappedAt(old), describe_part(new), beside=others):
                pass
    except PeerError as problem:
        raise OurError(f"The delta from {base.version} does not make the part.", details=str(problem)) from problem


@dataclass(frozen=True, slots=True)
class MappedAt:
    """A file in the address space."""

    view: memoryview

    @property
    def size(self) -> int:
        return len(self.view)

    def read_at(self, offset: int, size: int) -> bytes:
        return bytes(self.view[offset : offset + size])


@contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """The bytes of a file that is not empty, without reading them."""
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as data:
        view = memoryview(data)
        try:
            yield view
        finally:
            view.release()
