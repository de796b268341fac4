"""The slots of this node: the steps of an update that touch the disk."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from bedplate.host.disks import Disks
from bedplate.model.errors import MachineError, OurError, PeerError, UserError
from bedplate.model.reading import ReadAt
from bedplate.node.slots import esp, writer
from bedplate.node.slots.loader import Entry, file_name
from bedplate.node.slots.rules import TRIES, Layout, fallback_of, layout_of
from bedplate.node.slots.ukis import Ukis
from bedplate.node.slots.verity import make_tree
from bedplate.node.slots.whole import not_whole
from bedplate.wire.gpt import BadTable, Slice, Table, read_disk, with_identities, writes
from bedplate.wire.release import Part, Release
from bedplate.wire.verity import identities_of


class Unusable(PeerError):
    """The release was published wrong. No attempt mends that."""


class Slots:
    """All methods raise `MachineError` for what the disk does, and leave a node that boots.

    `root_hash` is that of the running /usr (`rules.root_hash_of` the command line).
    """

    def __init__(self, disks: Disks, *, root_hash: str) -> None:
        self.disks = disks
        self.root_hash = root_hash

    def layout(self) -> Layout:
        """Which slot runs and which is the other. `MachineError` unless exactly one slot runs."""
        return layout_of(self._table().slices, self.root_hash)

    def entries(self) -> tuple[Entry, ...]:
        """What the loader would list now, its choice first."""
        return self._inventory(self.layout().esp).entries

    def clear(self) -> None:
        """Leave no UKI on the ESP but that of what runs, and only if that is whole; remove leftovers, named or not.

        Raises `MachineError` when what runs has no whole UKI, or has not proven itself: then the other one may be
        the only one that boots.
        """
        part = self.layout().esp
        found = self._inventory(part)
        keep = fallback_of(found.entries, self.root_hash)
        ukis = Ukis(self.disks, part)
        ukis.remove(keep.file, {each.name for each in found.names} - {keep.file})
        ukis.reclaim()
        self._require_cleared(self._inventory(part).entries)

    def resume_point(self, part: Part) -> int:
        """How many leading chunks of the part the other slot has already."""
        with self.disks.partition(self.layout().other.data) as device:
            return writer.leading_chunks(part, device)

    def write_usr(self, part: Part, chunks: Iterable[bytes], *, first: int = 0) -> None:
        """Write chunks from number `first` on into the other slot, each flushed and read back.

        Refuses (`OurError`) while the loader could choose anything but what runs.
        """
        layout = self.layout()
        self._require_cleared(self._inventory(layout.esp).entries)
        with self.disks.partition(layout.other.data, exclusive=True) as device:
            writer.write_chunks(part, chunks, device, first=first)

    @contextmanager
    def base(self, size: int) -> Iterator[ReadAt]:
        """The running slot's data, to make a delta's result of. `MachineError` when it has not `size` bytes."""
        with self.disks.partition(self.layout().running.data) as device:
            writer.require_room(size, device, "usr")
            yield device

    def seal(self, release: Release) -> None:
        """Make and write the hash tree of the other slot and its signature. `Unusable` when the root differs."""
        layout = self.layout()
        self._require_cleared(self._inventory(layout.esp).entries)
        verity = release.verity
        with self.disks.partition(layout.other.data) as data:
            writer.require_room(release.usr.size, data, "usr")
            try:
                salt, identity = bytes.fromhex(verity.salt), uuid.UUID(verity.uuid)
                tree = make_tree(data, release.usr.size, salt=salt, identity=identity)
            except ValueError as problem:
                raise _unusable(release, str(problem)) from problem
        if tree.root_hash != verity.root_hash:
            raise _unusable(
                release, f"The root of its hash tree is {tree.root_hash}, and {verity.root_hash} is signed."
            )
        for part, content in ((layout.other.tree, tree.image), (layout.other.signature, verity.signature)):
            with self.disks.partition(part, exclusive=True) as device:
                writer.require_room(len(content), device, part.label)
                writer.write_checked(device, 0, content)

    def identify(self, release: Release) -> None:
        """Give the other slot's partitions the UUIDs of that root hash: in both copies of the table, one by one."""
        table = self._table()
        layout = layout_of(table.slices, self.root_hash)
        self._require_cleared(self._inventory(layout.esp).entries)
        if release.verity.root_hash == self.root_hash:
            raise UserError(f"{release.version} is what runs, so it cannot be in the other slot as well.")
        labels = (layout.other.data.label, layout.other.tree.label)
        identities = dict(zip(labels, identities_of(release.verity.root_hash), strict=True))
        with self.disks.disk() as disk:
            try:
                halves = writes(with_identities(table, identities), disk.size)
            except (ValueError, KeyError) as problem:
                raise _bad_table(str(problem)) from problem
            for half in halves:
                for each in half:
                    disk.write_at(each.offset, each.data)
                disk.flush()
                if any(disk.read_at(each.offset, len(each.data)) != each.data for each in half):
                    raise _bad_table("It is not as it was written.")

    def install(self, release: Release, chunks: Iterable[bytes]) -> None:
        """Write the UKI, read it back, and make the loader choose it, for TRIES boots.

        An older version than the running one is chosen only once that is set back, as by `choose_other`. Refuses
        (`OurError`) when the other slot has not the identity of this release. Raises `Unusable`, before the loader is
        offered anything, for a UKI that would not start that slot.
        """
        layout = self.layout()
        if layout.other.identities != identities_of(release.verity.root_hash):
            raise OurError(f"{layout.other.name} has not the identity of {release.version}.")
        ukis = Ukis(self.disks, layout.esp)
        entries = ukis.inventory().entries
        self._require_cleared(entries)
        file = file_name(release.version, left=TRIES)
        ukis.remove(self._running(entries).file, {file})
        with self.disks.esp(layout.esp) as mounted:
            esp.write_disarmed(mounted, file, release.uki, chunks)
        starts = ukis.root_hash_once_armed(file)
        if starts != release.verity.root_hash:
            raise _unusable(release, f"Its UKI starts {starts or 'no /usr'}, and {release.verity.root_hash} is signed.")
        ukis.arm(file)
        ukis.prefer(release.verity.root_hash)

    @contextmanager
    def base_uki(self) -> Iterator[ReadAt]:
        """The running version's UKI, to make a delta's result of."""
        part = self.layout().esp
        with self.disks.partition(part) as device:
            found = esp.look(device)
            yield found.volume.file(found.named(self._running(found.entries).file))

    def bless(self) -> None:
        """Make the running version's UKI one without tries. Does nothing when it is.

        It is copied, and the counted name goes after that: systemd-bless-boot renames, which on FAT may lose it.
        """
        ukis = Ukis(self.disks, self.layout().esp)
        own = [each for each in ukis.inventory().entries if each.root_hash == self.root_hash]
        running = next((each for each in own if each.left is None), None) or self._running(own)
        kept = file_name(running.stem)
        if running.left is not None:
            ukis.copy(running, kept)
        ukis.remove(kept, {each.file for each in own} - {kept})

    def choose_other(self, *, on_trial: bool = True) -> None:
        """Make the loader choose the other slot's version, which gets new tries if it has none left.

        Without `on_trial` it gets none, or the two would take turns: one that proved itself needs no tries, and one
        that was given up is not chosen (`UserError`). What runs is set back to `+0` and stays as a fallback. Raises as
        `require_other` does.
        """
        other = self.require_other()
        if other.is_given_up and not on_trial:
            raise UserError(f"{other.version} was given up by the boot loader.", details=f"It counts {other.file}.")
        ukis = Ukis(self.disks, self.layout().esp)
        if other.left == 0:
            ukis.replace(other, file_name(other.stem, left=TRIES if on_trial else None))
        ukis.prefer(other.root_hash)

    def require_other(self) -> Entry:
        """The other slot's version, once all of that slot was checked against its own root hash.

        Raises `UserError` when there is none, or it is not complete. Then its UKI goes from the ESP: once what runs has
        no tries left, the loader would come to it for ever. `MachineError` when it cannot be read, which may pass.
        """
        layout = self.layout()
        entries = self._inventory(layout.esp).entries
        other = next((each for each in entries if each.root_hash != self.root_hash), None)
        if other is None:
            raise UserError(
                "There is no other version to go back to.", resolution="`bedplate node update` fetches one."
            )
        if why := not_whole(self.disks, layout.other, other.root_hash):
            lost = {each.file for each in entries if each.root_hash == other.root_hash}
            Ukis(self.disks, layout.esp).remove(self._running(entries).file, lost)
            raise UserError(f"{other.version} in {layout.other.name} is not complete any more.", details=why)
        return other

    def _running(self, entries: Iterable[Entry]) -> Entry:
        found = next((each for each in entries if each.root_hash == self.root_hash), None)
        if found is None:
            raise esp.damaged("It has no UKI of the running version.")
        return found

    def _require_cleared(self, entries: Iterable[Entry]) -> None:
        others = [each.file for each in entries if each.root_hash != self.root_hash]
        if others:
            raise OurError(f"The loader may still choose {', '.join(others)}, so the other slot is not written.")

    def _inventory(self, part: Slice) -> esp.Inventory:
        return Ukis(self.disks, part).inventory()

    def _table(self) -> Table:
        with self.disks.disk() as disk:
            try:
                return read_disk(disk)
            except BadTable as problem:
                raise _bad_table(str(problem)) from problem


def _bad_table(details: str) -> MachineError:
    return MachineError(
        "The partition table cannot be used.",
        details=details,
        resolution="Make the machine anew from its image; what runs now may not start again.",
    )


def _unusable(release: Release, details: str) -> Unusable:
    return Unusable(
        f"{release.version} is not what was signed.",
        details=details,
        resolution="Whoever publishes this release has to look at it; the node stays with what it has.",
    )
