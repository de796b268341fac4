"""What a power cut may leave of any change on a FAT32 volume: clusters that no name leads to, and names behind the end.

Nothing on a node looks for them but this; after enough cuts the ESP would be full. (Microsoft, FAT32 File System
Specification 1.03: entries of 32 bits of which 28 count, 0 is free, 0x0FFFFFF7 is bad; the free count of FSInfo may be
unknown.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from bedplate.model.reading import ReadAt
from bedplate.wire.fat import ROW, BadVolume, Volume
from bedplate.wire.gpt import SECTOR, Write

BAD = 0x0FFFFFF7
ENTRY = 4
FREE_COUNT = 488
"""Where FSInfo has the count of free clusters; the next four bytes say where to look for one."""
UNKNOWN = b"\xff" * 8


def lost_clusters(volume: Volume) -> tuple[int, ...]:
    """In order. `BadVolume` when a folder cannot be followed: then nobody knows what is in it."""
    owned = bytearray(volume.clusters + 2)
    for each in _reached(volume):
        owned[each] = 1
    taken = _table(volume)
    return tuple(n for n in range(2, len(owned)) if taken[n] not in {0, BAD} and not owned[n])


def writes_to_free(volume: Volume, clusters: Iterable[int]) -> tuple[Write, ...]:
    """What gives them back, in all copies of the table: whole sectors, of which any may come about alone."""
    wanted = tuple(clusters)
    writes = [
        each for copy in range(volume.fats) for each in _freed(volume, volume.fat_at + copy * volume.fat_bytes, wanted)
    ]
    if wanted and volume.info_at:
        writes.append(_patched(volume.device, volume.info_at, {FREE_COUNT: UNKNOWN}))
    return tuple(writes)


def writes_to_end(volume: Volume, path: str) -> tuple[Write, ...]:
    """What empties the rows behind the end of a folder: whole sectors, of which any may come about alone."""
    changes: dict[int, dict[int, bytes]] = {}
    for place in volume.behind_end(path):
        changes.setdefault(place // SECTOR * SECTOR, {})[place % SECTOR] = bytes(ROW)
    return tuple(_patched(volume.device, sector, within) for sector, within in changes.items())


def _reached(volume: Volume) -> Iterator[int]:
    """Every cluster that a name leads to; of a file whose chain is broken those before the break."""
    folders, seen = [volume.root], {volume.root}
    while folders:
        first = folders.pop()
        yield from volume.chain(first)
        for each in volume.names_in(first):
            if not each.folder:
                yield from volume.reach(each.first)
            elif each.name not in {".", ".."} and each.first not in seen:
                seen.add(each.first)
                folders.append(each.first)


def _table(volume: Volume) -> list[int]:
    size = ENTRY * (volume.clusters + 2)
    raw = volume.device.read_at(volume.fat_at, size)
    if len(raw) < size:
        raise BadVolume("its table of clusters is cut off")
    return [entry & 0x0FFFFFFF for (entry,) in struct.iter_unpack("<I", raw)]


def _freed(volume: Volume, table: int, clusters: Iterable[int]) -> Iterator[Write]:
    """The sectors of one copy of the table with these entries at 0; the four bits that mean nothing stay."""
    changes: dict[int, dict[int, bytes]] = {}
    for each in clusters:
        place = table + ENTRY * each
        (before,) = struct.unpack("<I", volume.device.read_at(place, ENTRY))
        within = changes.setdefault(place // SECTOR * SECTOR, {})
        within[place % SECTOR] = struct.pack("<I", before & 0xF0000000)
    yield from (_patched(volume.device, sector, within) for sector, within in changes.items())


def _patched(device: ReadAt, sector: int, changes: dict[int, bytes]) -> Write:
    data = bytearray(device.read_at(sector, SECTOR))
    for at, new in changes.items():
        data[at : at + len(new)] = new
    return Write(sector, bytes(data))
