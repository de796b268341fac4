"""A FAT32 driver that writes as Linux does: tables twice, names in rows, nothing in any order until told to sync."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Protocol

from bedplate.host.disks import EspFile
from bedplate.model.errors import MachineError
from bedplate.model.reading import InMemory
from bedplate.wire.fat import FOLDER, GONE, LONG_NAME, ROW, BadVolume, Name, Volume, read_volume
from bedplate.wire.fat_names import checksum_of

SECTOR = 512
END = 0x0FFFFFFF


class Device(Protocol):
    @property
    def size(self) -> int: ...
    def read_at(self, offset: int, size: int) -> bytes: ...
    def write_at(self, offset: int, data: bytes) -> None: ...
    def flush(self) -> None: ...


class FatEsp:
    """Implements `bedplate.host.disks.Esp` on a device that holds a FAT32 volume.

    Each change is written at once and flushed at `sync`: whoever reorders what is between two flushes has all that
    the kernel's write-back and a disk's cache may make of it. As with the kernel, giving back clusters that are free
    already is an error after which the file system is read-only.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._read_only = False
        boot = device.read_at(0, SECTOR)
        device.write_at(0, boot[:65] + b"\1" + boot[66:])

    def files(self, folder: str) -> tuple[EspFile, ...]:
        names = (each for each in self._volume().folder(folder) if not each.folder)
        return tuple(sorted((EspFile(each.name, each.size) for each in names), key=lambda each: each.name))

    def read_at(self, path: str, offset: int, size: int) -> bytes:
        volume = self._volume()
        try:
            return volume.file(self._find(path)).read_at(offset, size)
        except BadVolume as problem:
            raise MachineError(f"{path} cannot be read.", details=str(problem)) from problem

    def create(self, path: str) -> None:
        self._require_writable()
        folder, _, file = path.rpartition("/")
        if any(each.name.lower() == file.lower() for each in self._volume().folder(folder)):
            raise MachineError(f"{path} cannot be created.", details="File exists")
        self._add_name(folder, file, first=0, kind=0x20)

    def write_at(self, path: str, offset: int, data: bytes) -> None:
        self._require_writable()
        name = self._find(path)
        volume = self._volume()
        try:
            clusters = list(volume.clusters_of(name))
        except BadVolume as problem:
            raise MachineError(f"{path} cannot be written.", details=str(problem)) from problem
        end = max(name.size, offset + len(data))
        needed = -(-end // volume.cluster_bytes) - len(clusters)
        added = self._allocate(volume, clusters[-1] if clusters else 0, needed)
        clusters += added
        self._write_data(volume, clusters, offset, data)
        if added or end != name.size:
            self._set_row(name, clusters[0] if clusters else 0, end)

    def remove(self, path: str) -> None:
        self._require_writable()
        name = self._find(path)
        volume = self._volume()
        for at in self._rows_of(path, name):
            self._patch(at, bytes([GONE]))
        cluster = name.first
        while 2 <= cluster < END - 7:
            following = volume.next_of(cluster)
            if following == 0:
                self._read_only = True
                raise MachineError(f"{path} cannot be removed.", details="deleting FAT entry beyond EOF")
            self._set_next(volume, cluster, 0)
            cluster = following

    def sync(self) -> None:
        self._device.flush()

    def unmount(self) -> None:
        """Write down how many clusters are free, and that nothing is amiss."""
        volume = self._volume()
        free = sum(volume.next_of(n) == 0 for n in range(2, volume.clusters + 2))
        info = struct.pack("<4s480x4sII12xI", b"RRaA", b"rrAa", free, 2, 0xAA550000)
        (sector,) = struct.unpack("<H", self._device.read_at(11, 2))
        self._device.write_at(sector, info)
        boot = self._device.read_at(0, SECTOR)
        self._device.write_at(0, boot[:65] + b"\0" + boot[66:])
        self._device.flush()

    def add_second_name(self, path: str, file: str) -> None:
        """Another name for the clusters of a file: what a renaming leaves when it is cut between its two writes."""
        folder, name = path.rpartition("/")[0], self._find(path)
        self._add_name(folder, file, first=name.first, kind=0x20)
        self._set_row(self._find(f"{folder}/{file}"), name.first, name.size)

    def lose(self, clusters: int) -> None:
        """Take clusters that no name leads to: what is left when the power goes before a file has its name."""
        self._allocate(self._volume(), 0, clusters)

    def make_folder(self, path: str) -> None:
        above, _, file = path.rpartition("/")
        if self._volume().folder(above) == () or not any(e.name == file for e in self._volume().folder(above)):
            volume = self._volume()
            (cluster,) = self._allocate(volume, 0, 1)
            parent = self._chain_of(above)[0] if above else 0
            rows = ((b".".ljust(11), cluster), (b"..".ljust(11), parent))
            dots = b"".join(struct.pack("<11sB8xHHHHI", row, FOLDER, 0, 0, 0, at, 0) for row, at in rows)
            self._device.write_at(volume.place_of(cluster), dots.ljust(volume.cluster_bytes, b"\0"))
            self._add_name(above, file, first=cluster, kind=FOLDER)

    def _volume(self) -> Volume:
        return read_volume(self._device)

    def _require_writable(self) -> None:
        if self._read_only:
            raise MachineError("The ESP cannot be written.", details="Read-only file system")

    def _find(self, path: str) -> Name:
        folder, _, file = path.rpartition("/")
        for each in self._volume().folder(folder):
            if each.name.lower() == file.lower():
                return each
        raise MachineError(f"{path} cannot be opened.", details="No such file or directory")

    def _rows_of(self, path: str, name: Name) -> list[int]:
        """The places of a name's rows: those of the long one that stand right before its last."""
        places = list(self._places(path.rpartition("/")[0]))
        index = places.index(name.row)
        rows = [name.row]
        while index and (before := self._device.read_at(places[index - 1], ROW))[11] == LONG_NAME and before[0] != GONE:
            index -= 1
            rows.append(places[index])
        return rows

    def _places(self, folder: str) -> Iterator[int]:
        volume = self._volume()
        for cluster in self._chain_of(folder):
            yield from range(volume.place_of(cluster), volume.place_of(cluster) + volume.cluster_bytes, ROW)

    def _chain_of(self, folder: str) -> tuple[int, ...]:
        volume = self._volume()
        at = volume.root
        for part in filter(None, folder.split("/")):
            above = "/".join(folder.split("/")[: folder.split("/").index(part)])
            at = next(each.first for each in volume.folder(above) if each.name == part)
        return volume.chain(at)

    def _add_name(self, folder: str, file: str, *, first: int, kind: int) -> None:
        places = list(self._places(folder))
        used = [self._device.read_at(at, 1)[0] not in {0, GONE} for at in places]
        number = sum(used)
        short = f"F{number:07}".encode() + file.rpartition(".")[2].upper().encode()[:3].ljust(3)
        rows = [
            *_long_rows(file, short),
            struct.pack("<11sB8xHHHHI", short, kind, first >> 16, 0, 0, first & 0xFFFF, 0),
        ]
        for start in range(len(places) - len(rows) + 1):
            if not any(used[start : start + len(rows)]):
                for at, row in zip(places[start:], rows, strict=False):
                    self._patch(at, row)
                return
        self._extend(folder)
        self._add_name(folder, file, first=first, kind=kind)

    def _extend(self, folder: str) -> None:
        """One more cluster for a folder: emptied first, and then linked."""
        volume = self._volume()
        last = max(self._chain_of(folder), key=volume.next_of)
        free = next((n for n in range(2, volume.clusters + 2) if volume.next_of(n) == 0), None)
        if free is None:
            raise MachineError("The ESP cannot be written.", details="[Errno 28] No space left on device")
        self._device.write_at(volume.place_of(free), bytes(volume.cluster_bytes))
        self._set_next(volume, free, END)
        self._set_next(volume, last, free)

    def _set_row(self, name: Name, first: int, size: int) -> None:
        row = bytearray(self._device.read_at(name.row, ROW))
        struct.pack_into("<H", row, 20, first >> 16)
        struct.pack_into("<HI", row, 26, first & 0xFFFF, size)
        self._patch(name.row, bytes(row))

    def _allocate(self, volume: Volume, last: int, count: int) -> list[int]:
        free = [n for n in range(2, volume.clusters + 2) if volume.next_of(n) == 0][: max(count, 0)]
        if len(free) < count:
            raise MachineError("The ESP cannot be written.", details="[Errno 28] No space left on device")
        for before, cluster in zip([last, *free], free, strict=False):
            self._set_next(volume, cluster, END)
            if before:
                self._set_next(volume, before, cluster)
        return free

    def _set_next(self, volume: Volume, cluster: int, value: int) -> None:
        for copy in range(volume.fats):
            self._patch(volume.fat_at + copy * volume.fat_bytes + 4 * cluster, struct.pack("<I", value))

    def _write_data(self, volume: Volume, clusters: list[int], offset: int, data: bytes) -> None:
        each = volume.cluster_bytes
        for index in range(offset // each, -(-(offset + len(data)) // each)):
            start, end = max(offset, index * each), min(offset + len(data), (index + 1) * each)
            place = volume.place_of(clusters[index]) + start - index * each
            self._patch(place, data[start - offset : end - offset])

    def _patch(self, at: int, data: bytes) -> None:
        """Write bytes by whole sectors, as every driver has to."""
        start, end = at - at % SECTOR, -(-(at + len(data)) // SECTOR) * SECTOR
        sectors = bytearray(self._device.read_at(start, end - start))
        sectors[at - start : at - start + len(data)] = data
        self._device.write_at(start, bytes(sectors))


class _Image:
    def __init__(self, size: int) -> None:
        self.data = bytearray(size)

    @property
    def size(self) -> int:
        return len(self.data)

    def read_at(self, offset: int, size: int) -> bytes:
        return bytes(self.data[offset : offset + size])

    def write_at(self, offset: int, data: bytes) -> None:
        self.data[offset : offset + len(data)] = data

    def flush(self) -> None:
        pass


def make_volume(size: int, files: Mapping[str, bytes], *, sector: int = SECTOR) -> bytes:
    """A new volume of `size` bytes with these files, by path. Its own sectors may be larger than the disk's."""
    sectors = size // sector
    fat = -(-(sectors + 2) * 4 // sector)
    boot = bytearray(sector)
    struct.pack_into(
        "<3s8sHBHBHHBHHHII", boot, 0, b"\xeb\x58\x90", b"bedplate", sector, 1, 32, 2, 0, 0, 0xF8, 0, 0, 0, 0, sectors
    )
    struct.pack_into("<IHHIHH", boot, 36, fat, 0, 0, 2, 1, 6)
    boot[66:90] = b"\x29\0\0\0\0" + b"NO NAME    " + b"FAT32   "
    boot[510:512] = b"\x55\xaa"
    image = _Image(size)
    for place in (0, 6):
        image.write_at(place * sector, bytes(boot))
    for copy in range(2):
        image.write_at((32 + copy * fat) * sector, struct.pack("<III", 0x0FFFFFF8, END, END))
    esp = FatEsp(image)
    for path, content in files.items():
        parts = path.split("/")
        for depth in range(1, len(parts)):
            esp.make_folder("/".join(parts[:depth]))
        esp.create(path)
        esp.write_at(path, 0, content)
    esp.unmount()
    read_volume(InMemory(bytes(image.data)))
    return bytes(image.data)


def _long_rows(name: str, short: bytes) -> list[bytes]:
    """The rows of a long name, the last part first."""
    text = name.encode("utf-16-le") + (b"\0\0" if len(name) % 13 else b"")
    parts = [text[at : at + 26].ljust(26, b"\xff") for at in range(0, len(text), 26)]
    rows = []
    for number, part in enumerate(parts, start=1):
        order = number | (0x40 if number == len(parts) else 0)
        head = struct.pack("<B10sBBB", order, part[:10], LONG_NAME, 0, checksum_of(short))
        rows.append(head + part[10:22] + b"\0\0" + part[22:])
    return rows[::-1]
