"""A disk in memory that records what is written and flushed, so that a test can cut its power at every instant."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from bedplate.host.disks import BlockDevice
from bedplate.model.errors import MachineError
from bedplate.testing.fat import FatEsp
from bedplate.wire.gpt import SECTOR, Slice


@dataclass(frozen=True, slots=True)
class Written:
    """One sector that was written."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Flushed:
    """All that was written before survives from here on."""


Event = Written | Flushed


@dataclass
class Medium:
    """The bytes of a disk, and every sector and flush that they were told. `failing` are places that cannot be read."""

    data: bytearray
    events: list[Event] = field(default_factory=list)
    failing: set[range] = field(default_factory=set)
    lies: bool = False
    """Whether it acknowledges what it does not keep."""


class FakeDevice:
    """Implements `bedplate.host.disks.BlockDevice` on a stretch of a medium. Closed, it is of no use to anybody."""

    def __init__(self, medium: Medium, start: int, size: int) -> None:
        self._medium = medium
        self._start = start
        self._size = size
        self._open = True

    def close(self) -> None:
        self._open = False

    @property
    def size(self) -> int:
        return self._size

    def read_at(self, offset: int, size: int) -> bytes:
        self._require_open()
        place, end = self._start + offset, self._start + min(offset + size, self._size)
        if any(place < bad.stop and bad.start < end for bad in self._medium.failing):
            raise MachineError(f"The disk cannot be read at {offset}.", details="[Errno 5] Input/output error")
        return bytes(self._medium.data[place : max(end, place)])

    def write_at(self, offset: int, data: bytes) -> None:
        self._require_open()
        if offset + len(data) > self._size:
            raise MachineError(f"The disk ends at {self._size}, and {offset + len(data)} was to be written.")
        place = self._start + offset
        if not self._medium.lies:
            self._medium.data[place : place + len(data)] = data
        first, last = place // SECTOR * SECTOR, -(-(place + len(data)) // SECTOR) * SECTOR
        for at in range(first, last, SECTOR):
            self._medium.events.append(Written(at, bytes(self._medium.data[at : at + SECTOR])))

    def flush(self) -> None:
        self._require_open()
        self._medium.events.append(Flushed())

    def _require_open(self) -> None:
        if not self._open:
            raise ValueError("This device was closed.")


class FakeDisks:
    """Implements `bedplate.host.disks.Disks` on one medium. `in_use` are labels that something else holds."""

    def __init__(self, data: bytes, *, in_use: frozenset[str] = frozenset()) -> None:
        self.medium = Medium(bytearray(data))
        self.in_use = in_use

    @contextmanager
    def disk(self) -> Iterator[BlockDevice]:
        with closing(FakeDevice(self.medium, 0, len(self.medium.data))) as device:
            yield device

    @contextmanager
    def partition(self, part: Slice, *, exclusive: bool = False) -> Iterator[BlockDevice]:
        if exclusive and part.label in self.in_use:
            raise MachineError(f"{part.label} cannot be opened.", details="[Errno 16] Device or resource busy")
        with closing(FakeDevice(self.medium, part.start, part.size)) as device:
            yield device

    @contextmanager
    def esp(self, part: Slice) -> Iterator[FatEsp]:
        with closing(FakeDevice(self.medium, part.start, part.size)) as device:
            mounted = FatEsp(device)
            try:
                yield mounted
            finally:
                mounted.unmount()


SUBSETS = 12
"""Arbitrary choices for each stretch between two flushes, beside the systematic ones."""


def epochs(events: Sequence[Event]) -> list[list[Written]]:
    """What was written between one flush and the next; the last stretch may have had no flush."""
    found: list[list[Written]] = [[]]
    for each in events:
        if isinstance(each, Written):
            found[-1].append(each)
        else:
            found.append([])
    return found


def after(start: bytes, writes: Sequence[Written]) -> bytes:
    data = bytearray(start)
    for each in writes:
        data[each.offset : each.offset + len(each.data)] = each.data
    return bytes(data)


def cuts(start: bytes, events: Sequence[Event], *, seed: int = 0) -> Iterator[bytes]:
    """What a disk may hold when its power was cut at any instant of a recording that began at `start`.

    Sectors are whole. Between two flushes any of those written may be there and any not, and of one that was written
    several times any of its contents. All beginnings are tried, all ends (the last written first), each sector alone,
    all but each, and SUBSETS choices by lot, the same in each run.
    """
    lot = random.Random(seed)  # noqa: S311 — a sample, the same in each run
    durable = start
    for stretch in epochs(events):
        for chosen in _choices(stretch, lot):
            yield after(durable, chosen)
        durable = after(durable, stretch)
    yield durable


def _choices(stretch: Sequence[Written], lot: random.Random) -> Iterator[Sequence[Written]]:
    for count in range(len(stretch)):
        yield stretch[:count]
    for count in range(1, len(stretch)):
        yield stretch[-count:]
    for index in range(len(stretch)):
        yield stretch[index : index + 1]
        yield [*stretch[:index], *stretch[index + 1 :]]
    for _ in range(SUBSETS if len(stretch) > 2 else 0):
        yield [each for each in stretch if lot.random() < 0.5]
