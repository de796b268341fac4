"""The agent's side: lays files out, has the unit started, and looks after it until it ends."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bedplate.host.clock import Clock
from bedplate.host.files import file_sha256, remove_tree, space_for, write_atomically
from bedplate.host.run import Runner
from bedplate.model.errors import MachineError, briefly
from bedplate.model.reading import ReadAt
from bedplate.node.repack.job import BASE, BESIDE, DELTA, MADE, MOST_BYTES, PART, UNIT
from bedplate.node.room import require_room
from bedplate.node.units import last_words, unit_run
from bedplate.release.payload.delta.format import Head, read_head, total
from bedplate.release.payload.delta.rebuild import places_beside
from bedplate.release.payload.parts import not_the_part
from bedplate.wire.release import Part, encode

PIECE = 1 << 20
LOOK_SECONDS = 2.0
LEAST_FREE = 256 << 20
"""With less the kubelet will soon evict pods: the process is ended before."""
STOP_SECONDS = 120.0
"""Longer than the 90 after which PID 1 kills what does not end (TimeoutStopSec=)."""
LONGEST_SECONDS = 2400.0
"""Longer than the unit may take (TimeoutStartSec=)."""
ENDS = {
    "exit-code": "it failed",
    "oom-kill": "it ran out of memory",
    "timeout": "it took too long",
    "signal": "it was killed",
    "core-dump": "it crashed",
}
"""What the results of a unit mean (systemd.exec(5), $SERVICE_RESULT)."""


class NotRepacked(MachineError):
    """The process apart did not make the part. There is a larger payload."""


@dataclass(frozen=True, slots=True)
class Repacker:
    """Has parts made by the unit, in `folder`, which is nobody else's. `begun` is a file of the agent's own.

    It holds the digest of the delta that was begun last, as long as that has not come to a good end: so an attempt
    that took the agent or the machine down is not made again. `memory_free` and `disk_free` are bytes, the latter where
    `folder` is.
    """

    folder: Path
    begun: Path
    runner: Runner
    clock: Clock
    memory_free: Callable[[], int]
    disk_free: Callable[[], int]

    def begun_before(self) -> str:
        """The digest in `begun`; empty where there is none."""
        try:
            return self.begun.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def lay_out(self, part: Part, delta: Path, base: ReadAt, beside: ReadAt) -> None:
        """Copy what the unit needs. Raises `NotRepacked`, and `PeerError` for a delta that is not meant for a node."""
        with not_repacked(), ExitStack() as undo:
            self.clear()
            undo.callback(self.clear)  # room that is left is for the next way
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with space_for(self.folder / BESIDE), delta.open("rb") as opened:
                head = read_head(opened)
                if max(base.size, total(head.base), total(head.part)) > MOST_BYTES or head.beside > beside.size:
                    raise not_the_part("it refers to more than there is, or holds more than a node unpacks")
                require_room(_taken(opened, head, base, part), self.disk_free())
                (self.folder / PART).write_bytes(encode(part))
                shutil.copyfile(delta, self.folder / DELTA)
                _copy(base, self.folder / BASE, [(0, base.size)], size=base.size)
                _copy(beside, self.folder / BESIDE, places_beside(opened, head), size=head.beside)
            undo.pop_all()

    @contextmanager
    def made(self, part: Part) -> Iterator[Path]:
        """A file that is the part, made of what was laid out; after the block all of it is gone.

        Raises `NotRepacked`.
        """
        try:
            with not_repacked():
                write_atomically(self.begun, file_sha256(self.folder / DELTA).encode(), mode=0o600)
                self._systemctl("start", "--no-block")
                self._wait()
                made = self._found(part)
                self.begun.unlink(missing_ok=True)
            yield made
        finally:
            self.clear()

    def clear(self) -> None:
        """End what runs and remove the files, of this agent or of one that was killed."""
        if not self.folder.is_dir() or not any(self.folder.iterdir()):
            return
        self._systemctl("stop", seconds=STOP_SECONDS)
        self._systemctl("reset-failed", ok=range(256))  # it may not have been started at all
        for left in self.folder.iterdir():
            remove_tree(left)

    def _wait(self) -> None:
        started = self.clock.monotonic()
        while (unit := unit_run(self.runner, UNIT)).busy:
            free = self.memory_free()
            if free < LEAST_FREE:
                raise NotRepacked(f"Only {free >> 20} MiB of memory were left, so {UNIT} was ended.")
            if self.clock.monotonic() - started > LONGEST_SECONDS:
                raise NotRepacked(f"{UNIT} does not come to an end.")
            self.clock.sleep(LOOK_SECONDS)
        if unit.result != "success":
            how = ENDS.get(unit.result, f"it ended with {unit.result}")
            raise NotRepacked(f"{UNIT} did not make the part: {how}.", details=last_words(self.runner, UNIT))

    def _found(self, part: Part) -> Path:
        file = self.folder / MADE
        if not file.is_file() or file.stat().st_size != part.size or file_sha256(file) != part.sha256:
            raise NotRepacked(f"What {UNIT} made is not the part that the release describes.")
        return file

    def _systemctl(self, verb: str, *options: str, ok: Collection[int] = (0,), seconds: float = 60.0) -> None:
        self.runner.run(["systemctl", verb, *options, UNIT], ok=ok, seconds=seconds)


@contextmanager
def not_repacked() -> Iterator[None]:
    """A block in which whatever this machine lacks only means that a larger payload has to be taken."""
    try:
        yield
    except NotRepacked:
        raise
    except MachineError as problem:
        raise NotRepacked("A part could not be made apart.", details=briefly(problem)) from problem


def _taken(delta: BinaryIO, head: Head, base: ReadAt, part: Part) -> int:
    """Bytes of the disk that the attempt takes: what is copied, the frames of the base unpacked, and what is made."""
    start = delta.tell()
    beside = sum(count for _, count in places_beside(delta, head))
    copied = delta.seek(0, os.SEEK_END) + base.size + beside
    delta.seek(start)
    return copied + sum(segment.inner for segment in head.base if segment.level) + part.size


def _copy(source: ReadAt, target: Path, places: Iterable[tuple[int, int]], *, size: int) -> None:
    """A file of `size` bytes with what `source` has at those places, and holes elsewhere."""
    with target.open("wb") as sink:
        sink.truncate(size)
        for offset, count in places:
            for at in range(offset, offset + count, PIECE):
                sink.seek(at)
                sink.write(source.read_at(at, min(PIECE, offset + count - at)))
