"""A node's disk in small: two slots, an ESP, and versions to put there."""

from __future__ import annotations

import hashlib
import random
import struct
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from bedplate.model.digests import Sha256, sha256
from bedplate.model.reading import InMemory
from bedplate.node.slots.esp import look
from bedplate.node.slots.loader import choice
from bedplate.node.slots.verity import Tree, make_tree
from bedplate.testing import packed_uki
from bedplate.testing.disks import FakeDisks
from bedplate.testing.fat import make_volume
from bedplate.testing.gpt import make_table
from bedplate.testing.uki import make_uki
from bedplate.wire.gpt import BadTable, Slice, read_disk, writes
from bedplate.wire.release import CHUNK_BYTES, Part, PartName, Payload, PayloadKind, Release, Verity
from bedplate.wire.verity import identities_of

KIB = 1 << 10
SIZES = {
    "esp": 256 * KIB,
    "usr-a": 64 * KIB,
    "usr-a-verity": 16 * KIB,
    "usr-a-verity-sig": 4 * KIB,
    "usr-b": 64 * KIB,
    "usr-b-verity": 16 * KIB,
    "usr-b-verity-sig": 4 * KIB,
}
FIRST = 32 * KIB
DISK_BYTES = FIRST + sum(SIZES.values()) + 32 * KIB
LOADER, LOADER_CONF = b"MZ, and not a UKI", b"timeout 0\n"


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it is published: the bytes of its parts and its manifest."""

    name: str
    usr: bytes
    uki: bytes
    tree: Tree
    release: Release

    @property
    def root_hash(self) -> str:
        return self.tree.root_hash


def make_version(
    count: int,
    *,
    usr: bytes | None = None,
    usr_bytes: int = 48 * KIB,
    uki_bytes: int = 5000,
    image: str = "bedplate",
    kernel: bytes = b"",
) -> Version:
    """Version number `count` of a day; `usr` is its data, where that matters. With `kernel`, that is in its UKI, beside
    as much that all of these have in common.
    """
    name = f"Bedplate-1.37-amd64-202611.24.{count}"
    usr = usr or random.Random(count).randbytes(usr_bytes)  # noqa: S311 — bytes that differ, the same in each run
    salt, identity = hashlib.sha256(usr).digest(), uuid.UUID(int=count)
    tree = make_tree(InMemory(usr), len(usr), salt=salt, identity=identity)
    if kernel:
        common = random.Random(0).randbytes(len(kernel)).hex()  # noqa: S311 — likewise
        text = f"ID=bedplate\nIMAGE_ID={image}\nIMAGE_VERSION={name}\n# {common}\n".encode()
        uki = packed_uki.uki(kernel, packed_uki.archive(), f"usrhash={tree.root_hash}".encode(), release=text)
    else:
        uki = make_uki(name, tree.root_hash, size=uki_bytes, image=image)
    signature = f"signed {tree.root_hash}".encode().ljust(4 * KIB, b"\0")
    verity = Verity(root_hash=tree.root_hash, salt=salt.hex(), uuid=str(identity), signature=signature)
    release = Release(
        version=name,
        made=datetime(2026, 11, 24, tzinfo=UTC),
        kubernetes="v1.37.2",
        kernel="6.12",
        usr=part_of(usr),
        uki=part_of(uki),
        verity=verity,
        payloads=(_full(name, PartName.USR, usr), _full(name, PartName.UKI, uki)),
    )
    return Version(name, usr, uki, tree, release)


def make_disk(slots: dict[str, Version], ukis: dict[str, bytes], *, sector: int = 512) -> bytes:
    """A disk with versions in its slots, by label, and files in EFI/Linux."""
    data = bytearray(DISK_BYTES)
    struct.pack_into("<B3sB3sII", data, 446, 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, DISK_BYTES // 512 - 1)
    data[510:512] = b"\x55\xaa"
    names = {each: identities_of(slots[each].root_hash) for each in slots}
    at, slices = FIRST, []
    for number, (label, size) in enumerate(SIZES.items()):
        slot, suffix = label[:5], label[5:]
        own = (
            names[slot][suffix == "-verity"]
            if slot in names and suffix != "-verity-sig"
            else uuid.UUID(int=900 + number)
        )
        slices.append(Slice(label, own, at, size))
        if slot in slots:
            content = {"": slots[slot].usr, "-verity": slots[slot].tree.image}
            part = content.get(suffix, slots[slot].release.verity.signature)
            data[at : at + len(part)] = part
        at += size
    files = {"EFI/BOOT/BOOTX64.EFI": LOADER, "loader/loader.conf": LOADER_CONF}
    volume = make_volume(SIZES["esp"], files | {f"EFI/Linux/{n}": each for n, each in ukis.items()}, sector=sector)
    data[FIRST : FIRST + len(volume)] = volume
    for half in writes(make_table(slices), DISK_BYTES):
        for each in half:
            data[each.offset : each.offset + len(each.data)] = each.data
    return bytes(data)


def make_disks(data: bytes, *, running: str = "usr-a") -> FakeDisks:
    """The disk as a running node has it: dm-verity holds the running slot."""
    return FakeDisks(data, in_use=frozenset({running, f"{running}-verity"}))


@dataclass(frozen=True, slots=True)
class Boot:
    """What would boot from a disk: a version's name, and what is wrong with it, or nothing."""

    version: str
    problem: str = ""


def boot(disk: bytes, versions: Iterable[Version]) -> Boot:  # noqa: PLR0911 — one for each stage that may stop
    """Follow firmware, loader and initrd over a disk. Every reader takes the backup table where the primary is bad."""
    try:
        slices = {each.label: each for each in read_disk(InMemory(disk)).slices}
    except BadTable:
        return Boot("", "the partition table cannot be read")

    def of(part: Slice) -> bytes:
        return disk[part.start : part.start + part.size]

    found = look(InMemory(of(slices["esp"])))
    chosen = choice(found.entries)
    if chosen is None:
        return Boot("", "the loader has nothing to choose")
    known = {each.root_hash: each for each in versions}
    if chosen.root_hash not in known:
        return Boot(chosen.version, "the loader chose a version that nobody made")
    version = known[chosen.root_hash]
    uki = found.volume.beginning(found.named(chosen.file))
    if uki.read_at(0, uki.size) != version.uki:
        return Boot(version.name, "its UKI is not as it was signed: the firmware stops here")
    data, tree = ([p for p in slices.values() if p.identity == each] for each in identities_of(version.root_hash))
    if len(data) != 1 or len(tree) != 1:
        return Boot(version.name, "the initrd does not find its partitions, or finds several")
    if not of(data[0]).startswith(version.usr) or not of(tree[0]).startswith(version.tree.image):
        return Boot(version.name, "its /usr is not whole")
    return Boot(version.name)


def part_of(data: bytes) -> Part:
    chunks = tuple(sha256(data[at : at + CHUNK_BYTES]) for at in range(0, len(data), CHUNK_BYTES))
    return Part(size=len(data), sha256=sha256(data), chunks=chunks)


def _full(version: str, part: PartName, data: bytes) -> Payload:
    frames = (len(data),) * len(part_of(data).chunks)
    path = f"releases/{version}/{part}.zst"
    digest = Sha256(sha256(data))
    return Payload(part=part, kind=PayloadKind.FULL, path=path, size=sum(frames), sha256=digest, frames=frames)
