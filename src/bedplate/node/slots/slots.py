"""The slots of this node: the steps of an update that touch the disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from bedplate.host.disks import Disks
from bedplate.model.reading import ReadAt
from bedplate.node.slots.loader import Entry
from bedplate.node.slots.plan import Planned
from bedplate.node.slots.rules import Layout
from bedplate.wire.release import Part, Release

TRIES = 3


class Slots:
    """All methods raise `MachineError` for what the disk does, and leave a node that boots.

    `root_hash` is that of the running /usr (`rules.root_hash_of` the command line), `version` its IMAGE_VERSION.
    """

    def __init__(self, disks: Disks, *, root_hash: str, version: str) -> None:
        self.disks = disks
        self.root_hash = root_hash
        self.version = version

    def layout(self) -> Layout:
        """Which slot runs and which is the other. `MachineError` unless exactly one slot runs."""
        raise NotImplementedError

    def entries(self) -> tuple[Entry, ...]:
        """What the loader would list now, its choice first."""
        raise NotImplementedError

    def plan(self, release: Release) -> tuple[Planned, ...]:
        """The steps to that release with their reasons, in order; reads the slot, changes nothing."""
        raise NotImplementedError

    def clear(self) -> None:
        """Leave no UKI on the ESP but that of what runs, and only if that is whole; remove leftovers."""
        raise NotImplementedError

    def resume_point(self, part: Part) -> int:
        """How many leading chunks of the part the other slot has already."""
        raise NotImplementedError

    def write_usr(self, part: Part, chunks: Iterable[bytes], *, first: int = 0) -> None:
        """Write chunks from number `first` on into the other slot, read each back, flush; then check the whole part.

        Refuses (`OurError`) while the loader could choose anything but what runs.
        """
        raise NotImplementedError

    @contextmanager
    def base(self, size: int) -> Iterator[ReadAt]:
        """The first `size` bytes of the running slot's data, to make a delta's result of."""
        raise NotImplementedError

    def seal(self, release: Release) -> None:
        """Make and write the hash tree of the other slot and its signature. `PeerError` when the root differs."""
        raise NotImplementedError

    def identify(self, release: Release) -> None:
        """Give the other slot's partitions the UUIDs of that root hash: in both copies of the table, one by one."""
        raise NotImplementedError

    def uki_resume_point(self, release: Release) -> int:
        """How many leading chunks of the release's UKI are on the ESP already, not armed."""
        raise NotImplementedError

    def install(self, release: Release, chunks: Iterable[bytes], *, first: int = 0, tries: int = TRIES) -> None:
        """Write the UKI, read it back, and make the loader choose it for `tries` boots."""
        raise NotImplementedError

    @contextmanager
    def base_uki(self) -> Iterator[ReadAt]:
        """The running version's UKI."""
        raise NotImplementedError

    def bless(self) -> None:
        """Make the running version's UKI one without tries. Does nothing when it is."""
        raise NotImplementedError

    def choose_other(self) -> None:
        """Make the loader choose the other slot's version, if that is complete; what runs stays as a fallback."""
        raise NotImplementedError
