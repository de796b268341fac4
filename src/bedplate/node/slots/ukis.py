"""Changes to the set of UKIs, each of which leaves the loader a whole choice at every instant."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bedplate.host.disks import Disks
from bedplate.model.errors import OurError
from bedplate.node.slots import esp
from bedplate.node.slots.loader import Entry, choice, file_name
from bedplate.wire.fat import BadVolume
from bedplate.wire.fat_space import lost_clusters, writes_to_end, writes_to_free
from bedplate.wire.gpt import Slice, Write


@dataclass(frozen=True, slots=True)
class Ukis:
    """The UKIs on the ESP in `part`, which is mounted only while it is written."""

    disks: Disks
    part: Slice

    def inventory(self) -> esp.Inventory:
        """What is there, past the kernel's cache: names and entries alone, for the disk is closed again."""
        with self._open() as found:
            return found

    def prefer(self, root_hash: str) -> None:
        """Set what runs back to a name that the loader takes last, if it would choose that before `root_hash`."""
        entries = self.inventory().entries
        chosen = choice(entries)
        if chosen and chosen.root_hash != root_hash:
            self.replace(chosen, file_name(chosen.stem, left=0))
        chosen = choice(self.inventory().entries)
        if chosen is None or chosen.root_hash != root_hash:
            raise OurError(f"The loader would choose {chosen.file if chosen else 'nothing'} next.")

    def replace(self, entry: Entry, file: str) -> None:
        """Exchange a UKI's name by way of a second copy: at each instant at least one of the two is whole."""
        self.copy(entry, file)
        self.remove(file, {entry.file})

    def copy(self, entry: Entry, file: str) -> None:
        """What the loader does not list goes first: a cut may have left the name of a file whose clusters are free."""
        if file == entry.file:
            raise OurError(f"{file} cannot be a copy of itself.")
        found = self.inventory()
        unlisted = {each.name for each in found.names} - {each.file for each in found.entries}
        self.remove(entry.file, {file} | unlisted)
        size = self.inventory().named(entry.file).size
        with self.disks.esp(self.part) as mounted:
            esp.copy_disarmed(mounted, entry.file, file, size)
        self.arm(file)

    def remove(self, keep: str, files: Collection[str]) -> None:
        """Remove files; a name whose clusters are another's too goes alone, and they stay.

        What cuts left behind the end of the folder goes first: the kernel would take it for files.
        """
        with self._open() as found:
            behind = writes_to_end(found.volume, esp.FOLDER)
        self._write(behind)
        with self._open() as found:
            shared = found.writes_without(found.named(keep), among=files)
        self._write(shared)
        rest = [each.name for each in self.inventory().names if each.name in files]
        if rest:
            with self.disks.esp(self.part) as mounted:
                for name in rest:
                    esp.disarm_and_remove(mounted, name)

    def reclaim(self) -> None:
        """Give back clusters that no name leads to; where a folder cannot be followed none: nobody can tell."""
        with self._open() as found:
            try:
                writes = writes_to_free(found.volume, lost_clusters(found.volume))
            except BadVolume:
                return
        self._write(writes)

    def arm(self, file: str) -> None:
        """Last look from outside the kernel's FAT driver, then the write that counts."""
        with self._open() as found:
            _require_whole(found, file)
        with self.disks.esp(self.part) as mounted:
            esp.arm(mounted, file)

    def root_hash_once_armed(self, file: str) -> str:
        """Which /usr a UKI would start; empty for none."""
        with self._open() as found:
            _require_whole(found, file)
            return found.root_hash_once_armed(file)

    @contextmanager
    def _open(self) -> Iterator[esp.Inventory]:
        """What is there, whose volume can be read for as long as the block lasts."""
        with self.disks.partition(self.part) as device:
            yield esp.look(device)

    def _write(self, writes: Sequence[Write]) -> None:
        """One sector after another, past the kernel's driver."""
        if writes:
            with self.disks.partition(self.part, exclusive=True) as device:
                for each in writes:
                    device.write_at(each.offset, each.data)
                    device.flush()


def _require_whole(found: esp.Inventory, file: str) -> None:
    if not any(each.name == file for each in found.names) or not found.is_whole(file):
        raise esp.damaged(f"{file} shares clusters with another file, or lacks some.")
