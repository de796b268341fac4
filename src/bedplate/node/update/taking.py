"""Brings the parts of a release to where they belong, on the cheapest way that works."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bedplate.model.errors import OurError, PeerError, briefly
from bedplate.model.reading import ReadAt
from bedplate.node.repack.ask import NotRepacked, Repacker
from bedplate.node.repack.job import UNIT_BYTES
from bedplate.node.slots.slots import Slots, Unusable
from bedplate.node.update.fetching import BrokeOff, Downloads, NotKept, remove_downloads
from bedplate.node.update.gauge import Gauge
from bedplate.node.update.offers import Releases
from bedplate.node.update.ways import Room, Way, ways_to
from bedplate.release.payload.apply import rebuild_delta, rebuild_full, start_of
from bedplate.release.payload.delta.format import read_head
from bedplate.release.payload.parts import Window, checked_chunks
from bedplate.wire.release import Part, PartName, Payload, PayloadKind, Release
from bedplate.wire.signature import SignedByAnother, signed_alike, signers_of

ALLOWED_BYTES = 120 << 20
PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Taker:
    """Takes payloads from `releases` into `slots`; `running` is the version that a delta may be made against.

    A delta lies in `folder` until its part is taken; those that take more memory than the agent has go to `repacker`.
    `memory_free` and `disk_free` are bytes, the latter where `folder` is.
    """

    slots: Slots
    releases: Releases | None
    running: str
    folder: Path
    repacker: Repacker
    memory_free: Callable[[], int]
    say: Callable[[str], None]
    gauge: Gauge
    disk_free: Callable[[], int]

    def take_usr(self, release: Release) -> str:
        """The data of the other slot; how it came, in words. What is there already is not fetched again."""
        if self.slots.resume_point(release.usr) == len(release.usr.chunks):
            return "it was there already"
        return self._take(PartName.USR, release, self._write_usr)

    def take_uki(self, release: Release) -> str:
        """The UKI, armed; how it came, in words.

        Raises `SignedByAnother` for one that the firmware would refuse, `Unusable` for one that starts another /usr.
        It is small, so it is always written from its beginning, and who signed it is seen on the way.
        """
        return self._take(PartName.UKI, release, self._write_uki)

    def clear(self) -> None:
        """Remove what was fetched and is needed no longer; a power cut may have come before that."""
        remove_downloads(self.folder)

    def _take(self, name: PartName, release: Release, write: Callable[[Release, Way], int]) -> str:
        room = Room(free=self.memory_free(), agent=ALLOWED_BYTES, apart=UNIT_BYTES)
        ways = ways_to(release, name, running=self.running, room=room, begun=self.repacker.begun_before())
        told = list(ways.passed_over)
        for why_not in told:
            self.say(f"{why_not}.")
        for way in ways.to_try:
            payload, where = way.payload, ", made apart" if way.apart else ""
            self.say(f"Take {payload.path}, {payload.size} bytes{where}.")
            try:
                first = write(release, way)
            except (SignedByAnother, Unusable):
                raise
            except (PeerError, NotRepacked, NotKept) as problem:
                # Only the first is waited for: what is kept of another would go for it again, and never be whole.
                waited_for = isinstance(problem, BrokeOff) and way is ways.to_try[0]
                if waited_for or payload.kind is PayloadKind.FULL:
                    raise
                self.say(f"It does not apply, so a larger payload comes next. {briefly(problem)}")
                told.append(f"{payload.path} did not apply: {problem.brief}")
                continue
            self.clear()
            rest = f" from chunk {first} on" if first else ""
            return "; ".join([*told, f"{payload.kind} payload of {payload.size} bytes{where}{rest}"])
        raise OurError("A release without a full payload was let through.", details=release.version)

    def _write_usr(self, release: Release, way: Way) -> int:
        first = self.slots.resume_point(release.usr)
        with closing(self._chunks(release, way.payload, first)) as chunks:
            self.slots.write_usr(release.usr, self.gauge.passing(release.usr, chunks, first=first), first=first)
        return first

    def _write_uki(self, release: Release, way: Way) -> int:
        with self.slots.base_uki() as running:
            ours = signers_of(running)
        chunks = self._made_apart(release, way.payload) if way.apart else closing(self._chunks(release, way.payload, 0))
        with chunks as opened:
            self.slots.install(release, signed_alike(opened, ours))
        return 0

    @contextmanager
    def _made_apart(self, release: Release, way: Payload) -> Iterator[Iterator[bytes]]:
        """Chunks of what the process apart made. It has ended before the first is asked for, and the ESP mounted."""
        part, file = release.part(way.part), self._fetched(way)
        with file.open("rb") as delta, self._base(way.part, delta) as base, self._new_usr() as beside:
            self.repacker.lay_out(part, file, base, beside)
        with self.repacker.made(part) as made, made.open("rb") as opened:
            yield checked_chunks(iter(lambda: opened.read(PIECE_BYTES), b""), part)

    def _chunks(self, release: Release, way: Payload, first: int) -> Generator[bytes, None, None]:
        part: Part = release.part(way.part)
        if way.kind is PayloadKind.FULL:
            pieces = self._source().fetch(way, start=start_of(way, first))
            yield from rebuild_full(pieces, way, part, first=first)
            return
        file = self._fetched(way)
        with file.open("rb") as delta, self._base(way.part, delta) as base, self._beside(way.part) as beside:
            yield from rebuild_delta(delta, base, part, beside=beside, first=first)

    def _fetched(self, way: Payload) -> Path:
        return Downloads(self.folder, self._source(), self.disk_free).whole(way)

    def _source(self) -> Releases:
        if self.releases is None:
            raise PeerError("This node belongs to no release repository.")
        return self.releases

    @contextmanager
    def _base(self, name: PartName, delta: BinaryIO) -> Iterator[ReadAt]:
        """What runs, as long as the delta says that it is."""
        size = sum(segment.size for segment in read_head(delta).base)
        delta.seek(0)
        with self.slots.base(size) if name is PartName.USR else self.slots.base_uki() as whole:
            yield Window(whole, 0, size)

    def _beside(self, name: PartName) -> AbstractContextManager[ReadAt | None]:
        return nullcontext() if name is PartName.USR else self._new_usr()

    def _new_usr(self) -> AbstractContextManager[ReadAt]:
        """What lies in the other slot by the time a UKI is made."""
        return self.slots.disks.partition(self.slots.layout().other.data)
