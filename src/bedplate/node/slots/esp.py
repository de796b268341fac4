"""The UKIs on the ESP: what the loader would see, and changes that leave it a whole choice at every instant."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from bedplate.host.disks import Esp
from bedplate.model.digests import sha256
from bedplate.model.errors import MachineError, OurError
from bedplate.model.reading import ReadAt
from bedplate.node.slots.loader import Entry, entry_of, in_order, is_candidate
from bedplate.wire.fat import BadVolume, Name, Volume, read_volume
from bedplate.wire.gpt import Write
from bedplate.wire.pe import MAGIC
from bedplate.wire.release import CHUNK_BYTES, Part
from bedplate.wire.uki import NotUki, read_uki

FOLDER = "EFI/Linux"
DISARMED = bytes(len(MAGIC))
PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class _Armed:
    """Implements `ReadAt`: a file as it will be once it is armed."""

    file: ReadAt

    @property
    def size(self) -> int:
        return self.file.size

    def read_at(self, offset: int, size: int) -> bytes:
        found = self.file.read_at(offset, size)
        armed = MAGIC[offset : offset + len(found)]
        return armed + found[len(armed) :]


@dataclass(frozen=True, slots=True)
class Inventory:
    """What EFI/Linux holds. `entries` are in the loader's order; `names` are all files."""

    volume: Volume
    names: tuple[Name, ...]
    entries: tuple[Entry, ...]

    def named(self, file: str) -> Name:
        return next(each for each in self.names if each.name == file)

    def root_hash_once_armed(self, file: str) -> str:
        """Which /usr a UKI starts that is not armed yet; empty for one that the loader would pass over even then."""
        try:
            return read_uki(_Armed(self.volume.beginning(self.named(file)))).root_hash
        except NotUki:
            return ""

    def is_whole(self, file: str) -> bool:
        """Whether a file has all its clusters, and no other file in the folder has one of them."""
        clusters = _clusters(self.volume, self.named(file))
        others = (_clusters(self.volume, each) for each in self.names if each.name != file)
        return bool(clusters) and not any(set(clusters or ()) & set(each or ()) for each in others)

    def writes_without(self, keep: Name, *, among: Container[str] | None = None) -> tuple[Write, ...]:
        """What takes away names, of `among` or all, that must not be removed as files are: their clusters are wrong.

        To remove such a file would give back clusters that `keep`, or a file removed before, still owns. `MachineError`
        when `keep` itself is not whole.
        """
        taken = set(_clusters(self.volume, keep) or ())
        if not taken:
            raise damaged(f"{keep.name} is not whole")
        writes = []
        for each in self.names:
            clusters = _clusters(self.volume, each)
            if each == keep or clusters == () or (among is not None and each.name not in among):
                continue
            if clusters is None or taken & set(clusters):
                writes.append(self.volume.without(each))
            else:
                taken |= set(clusters)
        return tuple(writes)


def look(device: ReadAt) -> Inventory:
    """Read the ESP as the loader does: past the kernel's cache. `MachineError` when it is not a file system."""
    try:
        volume = read_volume(device)
        names = tuple(each for each in volume.folder(FOLDER) if not each.folder)
    except BadVolume as problem:
        raise damaged(str(problem)) from problem
    entries = (_entry(volume, each) for each in names if is_candidate(each.name))
    return Inventory(volume, names, in_order(each for each in entries if each is not None))


def damaged(details: str) -> MachineError:
    return MachineError(
        "The ESP is damaged, so it is not touched.",
        details=details,
        resolution="What runs now may not start again. Make the machine anew from its image.",
    )


def path_of(file: str) -> str:
    return f"{FOLDER}/{file}"


def disarm_and_remove(esp: Esp, file: str) -> None:
    """Two steps, so that no instant has a name that the loader lists and clusters that are not its own any more.

    An empty file is not listed, and to write into it takes a cluster, which a full ESP has not.
    """
    if any(each.name == file and each.size for each in esp.files(FOLDER)):
        esp.write_at(path_of(file), 0, DISARMED)
        esp.sync()
    esp.remove(path_of(file))
    esp.sync()


def arm(esp: Esp, file: str) -> None:
    """The one write that makes the loader list a file: two bytes of one sector that is there already."""
    esp.write_at(path_of(file), 0, MAGIC)
    esp.sync()


def write_disarmed(esp: Esp, file: str, part: Part, chunks: Iterable[bytes]) -> None:
    """Write the chunks under the final name, without the first two bytes of the file.

    There must be no such file. Read back whole. When the ESP is full the file is removed again.
    """
    esp.create(path_of(file))
    index = 0
    try:
        for chunk in chunks:
            if index >= len(part.chunks) or sha256(chunk) != part.chunks[index]:
                raise OurError(f"Chunk {index} of the UKI is not what the release names.")
            esp.write_at(path_of(file), index * CHUNK_BYTES, DISARMED + chunk[2:] if index == 0 else chunk)
            esp.sync()
            index += 1
    except MachineError as problem:
        raise _without_half(esp, file, problem) from problem
    if index != len(part.chunks) or chunks_there(esp, file, part) != index:
        raise MachineError(
            f"The ESP does not keep {file} as it was written.",
            details=f"{chunks_there(esp, file, part)} of {len(part.chunks)} chunks are as they should be.",
            resolution="The disk is failing: replace it. What runs now stays what boots.",
        )


def chunks_there(esp: Esp, file: str, part: Part) -> int:
    """How many leading chunks of the part a disarmed file has. A file that is armed or too long has none."""
    size = next((each.size for each in esp.files(FOLDER) if each.name == file), 0)
    if size > part.size or esp_read(esp, file, 0, 2) != DISARMED:
        return 0
    for index, digest in enumerate(part.chunks):
        found = esp_read(esp, file, index * CHUNK_BYTES, part.chunk_size(index))
        if sha256(MAGIC + found[2:] if index == 0 else found) != digest:
            return index
    return len(part.chunks)


def esp_read(esp: Esp, file: str, offset: int, size: int) -> bytes:
    """Bytes of a UKI; none when there is no such file, or it cannot be read."""
    try:
        return esp.read_at(path_of(file), offset, size)
    except MachineError:
        return b""


def copy_disarmed(esp: Esp, source: str, target: str, size: int) -> None:
    """A second copy of a UKI, not armed. Instead of a renaming, which FAT cannot do in one step."""
    esp.create(path_of(target))
    try:
        for at in range(0, size, PIECE):
            piece = esp.read_at(path_of(source), at, min(PIECE, size - at))
            esp.write_at(path_of(target), at, DISARMED + piece[2:] if at == 0 else piece)
        esp.sync()
    except MachineError as problem:
        raise _without_half(esp, target, problem) from problem
    for at in range(0, size, PIECE):
        skipped = 2 if at == 0 else 0
        wanted, found = (esp.read_at(path_of(each), at, PIECE)[skipped:] for each in (source, target))
        if wanted != found:
            raise MachineError(f"The ESP does not keep {target} as it was written.", details=f"It differs at {at}.")


def _without_half(esp: Esp, file: str, problem: MachineError) -> MachineError:
    """The error to raise once the beginning of a file is removed; both, when it cannot be."""
    try:
        disarm_and_remove(esp, file)
    except MachineError as second:
        return MachineError(problem.brief, details=f"{problem.details}\n{second}", resolution=problem.resolution)
    return problem


def _entry(volume: Volume, name: Name) -> Entry | None:
    """None for what the loader passes over."""
    try:
        uki = read_uki(volume.beginning(name))
    except NotUki:
        return None
    return entry_of(name.name, version=uki.version, root_hash=uki.root_hash, sort_key=uki.sort_key)


def _clusters(volume: Volume, name: Name) -> tuple[int, ...] | None:
    try:
        return volume.clusters_of(name)
    except BadVolume:
        return None
