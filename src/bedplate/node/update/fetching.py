"""Fetches deltas into files, since they are read at three places at once; one that was cut off goes on where it was.

There is one file for each part, named by the digest of what is wanted. Whatever it holds counts for nothing before all
of it has that digest: it may be what a power cut left, or what a mirror made up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bedplate.host.files import file_sha256
from bedplate.model.errors import MachineError, PeerError
from bedplate.node.room import require_room
from bedplate.node.update.offers import Releases
from bedplate.wire.release import Payload

ENDING = "delta"


class BrokeOff(PeerError):
    """A download brought something before it was cut off. The next attempt goes on after that."""


class NotAsSigned(PeerError):
    """All bytes have come, and they are not what was signed."""


class NotKept(MachineError):
    """The state disk has no room for a delta, or loses it. What comes in full goes straight to where it belongs."""


@dataclass(frozen=True, slots=True)
class Downloads:
    """What is fetched from `releases` into `folder`, which may have other files too; so many bytes there are `free`."""

    folder: Path
    releases: Releases
    free: Callable[[], int]

    def whole(self, payload: Payload) -> Path:
        """A file that is the payload; what is there of it already is not fetched again.

        Raises `BrokeOff` when it is worth going on later, `NotKept`, and `PeerError` when it cannot be had.
        """
        file = self.folder / f"{payload.part}.{payload.sha256}.{ENDING}"
        remove_downloads(self.folder, f"{payload.part}.", but=file)
        begun = _size(file)
        with self._kept(file, payload):
            require_room(payload.size - begun, self.free())
            try:
                self._go_on(file, payload)
            except NotAsSigned:
                # What was there from before may be to blame, or a mirror that is asked last from now on.
                self._go_on(file, payload)
            except PeerError as problem:
                if _size(file) == begun:
                    raise
                raise _broke_off(problem, payload, _size(file)) from problem
        return file

    @contextmanager
    def _kept(self, file: Path, payload: Payload) -> Iterator[None]:
        """A block that needs the file. Where the disk fails it, the file goes: its room is for others to have."""
        try:
            yield
        except (MachineError, OSError) as problem:
            with suppress(OSError):
                file.unlink(missing_ok=True)
            brief = f"{self.folder} has no room for {payload.path}, or loses it."
            raise NotKept(brief, details=str(problem)) from problem

    def _go_on(self, file: Path, payload: Payload) -> None:
        """Fetch what is missing and judge the whole, which is removed if it is wrong."""
        problem = None
        try:
            self._fetch(file, payload)
        except PeerError as of_mirror:
            if _size(file) < payload.size:
                raise
            problem = of_mirror
        if file_sha256(file) != payload.sha256:
            file.unlink()
            raise _not_as_signed(problem, payload) from problem

    def _fetch(self, file: Path, payload: Payload) -> None:
        begun = _size(file)
        if begun >= payload.size:
            return
        with file.open("ab") as sink:
            for piece in self.releases.fetch(payload, start=begun):
                sink.write(piece)


def remove_downloads(folder: Path, beginning: str = "", *, but: Path | None = None) -> None:
    """Remove the downloads whose names begin so."""
    for file in folder.glob(f"{beginning}*{ENDING}"):
        if file != but:
            file.unlink()


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _broke_off(problem: PeerError, payload: Payload, size: int) -> BrokeOff:
    details = f"{problem.details}\n{size} of {payload.size} bytes of {payload.path} are here, and stay.".lstrip()
    return BrokeOff(problem.brief, details=details, resolution=problem.resolution)


def _not_as_signed(problem: PeerError | None, payload: Payload) -> NotAsSigned:
    return NotAsSigned(
        f"{payload.path} is not what was signed: its digest differs.",
        details=str(problem or ""),
        resolution="Nothing of it is used; another payload or another mirror may be sound.",
    )
