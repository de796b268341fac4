"""The FAT32 file system of an ESP as it lies on the disk: what is there, whoever wrote it and however it was cut off.

Microsoft, FAT32 File System Specification 1.03. The kernel's driver writes it; this reads it past every cache, finds
names that share clusters (what a power cut leaves of a renaming), and can take a name away without giving its
clusters back. There is no fsck.fat on a node.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bedplate.model.reading import ReadAt
from bedplate.wire.fat_names import name_of, with_row
from bedplate.wire.gpt import SECTOR, Write

ROW = 32
"""Bytes of a directory entry."""
FOLDER, LABEL, LONG_NAME = 0x10, 0x08, 0x0F
GONE = 0xE5
SECTORS = (512, 1024, 2048, 4096)
_CLUSTER = 0x0FFFFFFF
_END = 0x0FFFFFF8
_CACHED, _PAGES = 4096, 256
"""Bytes of a page of the table, and how many are kept: a table may be larger than any memory."""
FOLDER_BYTES = 65_536 * ROW
"""No folder is larger: FAT_MAX_DIR_ENTRIES of Linux (include/uapi/linux/msdos_fs.h)."""


class BadVolume(ValueError):
    """What is wrong with the file system, in a few words."""


@dataclass(frozen=True, slots=True)
class Name:
    """A directory entry. `first` is its first cluster, 0 for none; `row` the place of its last row on the device."""

    name: str
    first: int
    size: int
    folder: bool
    row: int


@dataclass(slots=True)
class Volume:
    """A FAT32 volume on a device. Everything that does not fit together is a `BadVolume`.

    `info_at` is where the sector FSInfo is, 0 for none.
    """

    device: ReadAt
    cluster_bytes: int
    fat_at: int
    fat_bytes: int
    fats: int
    data_at: int
    clusters: int
    root: int
    info_at: int
    _pages: dict[int, bytes] = field(default_factory=dict)

    def folder(self, path: str) -> tuple[Name, ...]:
        """The names in a folder, by path from the root, in their order on the disk; none when it is not there."""
        first = self._first_of(path)
        return tuple(each for each in self.names_in(first) if each.name not in {".", ".."}) if first else ()

    def behind_end(self, path: str) -> tuple[int, ...]:
        """The places of rows that stand behind the end of a folder and are not empty.

        Firmware stops at the end, the kernel does not: it would find names there, and put new ones behind them.
        """
        first = self._first_of(path)
        rows = list(self._rows(first)) if first else []
        end = next((index for index, (row, _) in enumerate(rows) if row[0] == 0), len(rows))
        return tuple(at for row, at in rows[end:] if row[0] != 0)

    def _first_of(self, path: str) -> int | None:
        at = self.root
        for part in filter(None, path.split("/")):
            found = [each for each in self.names_in(at) if each.folder and each.name.lower() == part.lower()]
            if not found:
                return None
            at = found[0].first
        return at

    def chain(self, first: int) -> tuple[int, ...]:
        """The clusters from `first` to the end."""
        return tuple(self._followed(first, most=self.clusters))

    def clusters_of(self, name: Name) -> tuple[int, ...]:
        """The clusters of a file, as many as its size needs."""
        return tuple(self._owned(name))

    def file(self, name: Name) -> File:
        """The content of a file, which has to have all its clusters."""
        return File(self, name.size, array("I", self._owned(name)))

    def _owned(self, name: Name) -> Iterator[int]:
        needed, count = -(-name.size // self.cluster_bytes), 0
        for each in self._followed(name.first, most=needed) if name.first else ():
            count += 1
            yield each
        if count != needed:
            raise BadVolume(f"{name.name} has {count} clusters for {name.size} bytes")

    def _followed(self, first: int, *, most: int) -> Iterator[int]:
        """The clusters from `first` on. More than `most` are a `BadVolume`: a chain may be made to go in a circle."""
        at, before, left = first, first, most
        while at < _END:
            if not 2 <= at < self.clusters + 2:
                raise BadVolume(f"cluster {before} leads nowhere")
            if not left:
                raise BadVolume(f"the chain from cluster {first} is longer than {most}")
            yield at
            at, before, left = self.next_of(at), at, left - 1

    def beginning(self, name: Name) -> File:
        """What can be read of a file whose clusters may be cut off: firmware looks at the next one only to read it."""
        return File(self, name.size, self.reach(name.first, most=-(-name.size // self.cluster_bytes)))

    def reach(self, first: int, *, most: int | None = None) -> tuple[int, ...]:
        """The clusters from `first` on, `most` of them, as far as they lead anywhere."""
        found: list[int] = []
        at = first
        while 2 <= at < self.clusters + 2 and len(found) < (self.clusters if most is None else most):
            found.append(at)
            at = self.next_of(at)
        return tuple(found)

    def next_of(self, cluster: int) -> int:
        """What the first table of clusters says of one, without the four bits that mean nothing."""
        offset = self.fat_at + 4 * cluster
        page, within = offset // _CACHED, offset % _CACHED
        if page not in self._pages:
            if len(self._pages) == _PAGES:
                self._pages.clear()
            self._pages[page] = self.device.read_at(page * _CACHED, _CACHED)
        value: int = struct.unpack_from("<I", self._pages[page], within)[0] & _CLUSTER
        return value

    def place_of(self, cluster: int) -> int:
        return self.data_at + (cluster - 2) * self.cluster_bytes

    def without(self, name: Name) -> Write:
        """What takes a name away in one sector. Its clusters stay taken: something else may own them."""
        sector = name.row // SECTOR * SECTOR
        data = bytearray(self.device.read_at(sector, SECTOR))
        data[name.row - sector] = GONE
        return Write(sector, bytes(data))

    def names_in(self, first: int) -> Iterator[Name]:
        """The names in the folder that begins at that cluster, in their order on the disk."""
        parts: Mapping[int, bytes] = {}
        for row, at in self._rows(first):
            if row[0] == 0:
                return
            if row[0] == GONE:
                parts = {}
            elif row[11] & 0x3F == LONG_NAME:
                parts = with_row({} if row[0] & 0x40 else parts, row)
            else:
                if not row[11] & LABEL:
                    yield _name(row, at, parts)
                parts = {}

    def _rows(self, first: int) -> Iterator[tuple[bytes, int]]:
        for cluster in tuple(self._followed(first, most=max(FOLDER_BYTES // self.cluster_bytes, 1))):
            place = self.place_of(cluster)
            data = self.device.read_at(place, self.cluster_bytes)
            for at in range(0, len(data), ROW):
                yield data[at : at + ROW], place + at


@dataclass(frozen=True, slots=True)
class File:
    """The content of a file, read from its clusters."""

    volume: Volume
    size: int
    clusters: Sequence[int]

    def read_at(self, offset: int, size: int) -> bytes:
        """Neighbouring clusters are read at once."""
        each = self.volume.cluster_bytes
        end = min(offset + size, self.size)
        if end <= offset:
            return b""
        wanted = self.clusters[offset // each : -(-end // each)]
        data = b"".join(self.volume.device.read_at(self.volume.place_of(at), n * each) for at, n in _runs(wanted))
        return data[offset % each :][: end - offset]


def read_volume(device: ReadAt) -> Volume:
    """The volume on a device. `BadVolume` for anything but FAT32. Its own sectors may be larger than the disk's."""
    boot = device.read_at(0, SECTOR)
    if len(boot) < SECTOR or boot[510:512] != b"\x55\xaa":
        raise BadVolume("it has no boot sector")
    sector, per_cluster, reserved, fats = struct.unpack_from("<HBHB", boot, 11)
    short_fat = struct.unpack_from("<H", boot, 22)[0]
    sectors, fat, _, _, root, info = struct.unpack_from("<IIHHIH", boot, 32)
    if sector not in SECTORS or short_fat or not fat or not per_cluster or not fats or not reserved:
        raise BadVolume("it is not FAT32")
    data = reserved + fats * fat
    clusters = min((sectors - data) // per_cluster, fat * sector // 4 - 2)
    if clusters <= 0 or sectors * sector > device.size:
        raise BadVolume("its size is not that of its partition")
    return Volume(
        device=device,
        cluster_bytes=per_cluster * sector,
        fat_at=reserved * sector,
        fat_bytes=fat * sector,
        fats=fats,
        data_at=data * sector,
        clusters=clusters,
        root=root,
        info_at=info * sector if 0 < info < reserved else 0,
    )


def _name(row: bytes, at: int, parts: Mapping[int, bytes]) -> Name:
    high, low, size = struct.unpack_from("<H", row, 20)[0], struct.unpack_from("<H", row, 26)[0], row[28:32]
    return Name(name_of(row, parts), high << 16 | low, int.from_bytes(size, "little"), bool(row[11] & FOLDER), at)


def _runs(clusters: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = count = 0
    for each in clusters:
        if count and each == start + count:
            count += 1
            continue
        if count:
            yield start, count
        start, count = each, 1
    if count:
        yield start, count
