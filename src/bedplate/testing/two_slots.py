"""Two slots, an ESP and a boot loader in memory. At every call the power can go, before it did anything or after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from bedplate.model.errors import MachineError, OurError, UserError
from bedplate.model.reading import InMemory, ReadAt
from bedplate.node.slots.loader import Entry, after_start, entry_of, file_name, in_order
from bedplate.node.slots.rules import TRIES, fallback_of
from bedplate.wire.release import Part, Release


class PowerCut(BaseException):
    """The agent is gone, wherever it was. No `except` of ours may catch it."""


@dataclass
class Content:
    """What a slot holds."""

    version: str = ""
    root_hash: str = ""
    chunks: int = 0
    sealed: bool = False
    identified: bool = False

    @property
    def whole(self) -> bool:
        return self.sealed and self.identified


@dataclass
class FakeSlots:
    """Stands in for `bedplate.node.slots.slots.Slots`, with a loader that chooses and counts as systemd-boot does.

    `cut_in` counts down with every call that changes the disk; at 0 the power goes, half of the times after it.
    `failing` is that the other slot can be neither read nor written, `damaged` that the ESP cannot.
    """

    running: int = 0
    contents: list[Content] = field(default_factory=lambda: [Content(), Content()])
    esp: list[Entry] = field(default_factory=list)
    cut_in: int = -1
    calls: int = 0
    failing: bool = False
    damaged: bool = False

    @property
    def root_hash(self) -> str:
        return self.contents[self.running].root_hash

    @property
    def other(self) -> Content:
        return self.contents[1 - self.running]

    def entries(self) -> tuple[Entry, ...]:
        if self.damaged:
            raise MachineError("The ESP is damaged, so it is not touched.")
        return in_order(self.esp)

    def clear(self) -> None:
        self.entries()
        fallback_of(self.esp, self.root_hash)
        with self._power():
            self.esp = [each for each in self.esp if each.root_hash == self.root_hash]

    def resume_point(self, part: Part) -> int:
        return 0 if self.failing else min(self.other.chunks, len(part.chunks))

    def write_usr(self, part: Part, chunks: Iterable[bytes], *, first: int = 0) -> None:
        if any(each.root_hash != self.root_hash for each in self.esp):
            raise OurError(f"The loader could choose what {len(part.chunks)} chunks go over.")
        self._require_slot()
        self.contents[1 - self.running] = Content(chunks=first)
        for _ in chunks:
            with self._power():
                self.other.chunks += 1

    @contextmanager
    def base(self, size: int) -> Iterator[ReadAt]:
        raise NotImplementedError(size)
        yield

    def seal(self, release: Release) -> None:
        self._require_slot()
        with self._power():
            self.other.version, self.other.sealed = release.version, True

    def identify(self, release: Release) -> None:
        with self._power():
            self.other.root_hash, self.other.identified = release.verity.root_hash, True

    def install(self, release: Release, chunks: Iterable[bytes]) -> None:
        self.entries()
        if any(each.root_hash != self.root_hash for each in self.esp):
            raise OurError("The loader may still choose another.")
        for _ in chunks:
            with self._power():
                pass
        with self._power():
            self.esp.append(entry_under(release.version, release.verity.root_hash, TRIES))
        self._prefer(release.verity.root_hash)

    @contextmanager
    def base_uki(self) -> Iterator[ReadAt]:
        yield InMemory(b"nobody signed this")

    def bless(self) -> None:
        self.entries()
        with self._power():
            self._change(self.root_hash, left=None)

    def choose_other(self, *, on_trial: bool = True) -> None:
        other = self.require_other()
        if other.is_given_up and not on_trial:
            raise UserError(f"{other.version} was given up by the boot loader.")
        if other.left == 0:
            with self._power():
                self._change(other.root_hash, left=TRIES if on_trial else None)
        self._prefer(other.root_hash)

    def require_other(self) -> Entry:
        other = next((each for each in self.entries() if each.root_hash != self.root_hash), None)
        if other is None:
            raise UserError("There is no other version to go back to.")
        self._require_slot()
        if not self.other.whole or self.other.root_hash != other.root_hash:
            with self._power():
                self.esp = [each for each in self.esp if each.root_hash != other.root_hash]
            raise UserError(f"{other.version} is not complete any more.")
        return other

    def _prefer(self, root_hash: str) -> None:
        chosen = self.entries()[0].root_hash
        if chosen != root_hash:
            with self._power():
                self._change(chosen, left=0)

    def boot(self, picked: str = "") -> str:
        """Let the loader choose and count, or somebody at its menu; the version that it starts."""
        listed = in_order(self.esp)
        chosen = next((each for each in listed if each.version == picked), listed[0])
        self.esp = [*after_start([chosen]), *(each for each in listed if each != chosen)]
        self.running = next(n for n, each in enumerate(self.contents) if each.root_hash == chosen.root_hash)
        if not self.contents[self.running].whole:
            raise AssertionError(f"The loader chose {chosen.version}, which is not whole.")
        return chosen.version

    def rot(self, *, running: bool = False) -> None:
        """Lose what the other slot holds, or what runs, which goes on until the next boot; the loader does not know."""
        lost = self.running if running else 1 - self.running
        self.contents[lost] = replace(self.contents[lost], chunks=0, sealed=False)

    def _require_slot(self) -> None:
        if self.failing:
            raise MachineError("The disk cannot be read.", details="[Errno 5] Input/output error")

    def _change(self, root_hash: str, *, left: int | None) -> None:
        self.esp = [
            entry_under(each.version, root_hash, left) if each.root_hash == root_hash else each for each in self.esp
        ]

    @contextmanager
    def _power(self) -> Iterator[None]:
        self.calls += 1
        self.cut_in -= 1
        if self.cut_in == 0 and self.calls % 2:
            raise PowerCut
        yield
        if self.cut_in == 0:
            raise PowerCut


def entry_under(version: str, root_hash: str, left: int | None) -> Entry:
    return entry_of(file_name(version, left=left), version=version, root_hash=root_hash)
