"""dm-verity on disk: superblock, shape of the hash tree, and the identities that follow from its root.

The format is that of veritysetup(8), version 1 with SHA-256 and blocks of 4096 bytes, as the kernel documents it:
https://docs.kernel.org/admin-guide/device-mapper/verity.html and cryptsetup's lib/verity/verity.c.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass

from bedplate.model.digests import SHA256_BYTES
from bedplate.model.reading import ReadAt

BLOCK = 4096
PER_BLOCK = BLOCK // SHA256_BYTES
MAGIC = b"verity\0\0"
_FIELDS = struct.Struct("<8sII16s32sIIQH6x256s168x")
LONGEST_SALT = 256


@dataclass(frozen=True, slots=True)
class Shape:
    """Where the levels of a tree lie: `levels` from the lowest up, each (first block on the device, blocks)."""

    data_blocks: int
    levels: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        """Bytes on the hash device, the superblock's block included."""
        return BLOCK * (1 + sum(blocks for _, blocks in self.levels))


def shape_of(data_blocks: int) -> Shape:
    """The tree over so many blocks. The highest level, one block, comes first; over a single block there is no tree."""
    counts: list[int] = []
    below = data_blocks
    while below > 1:
        below = -(-below // PER_BLOCK)
        counts.append(below)
    starts, at = [], 1
    for count in reversed(counts):
        starts.append(at)
        at += count
    return Shape(data_blocks, tuple(zip(reversed(starts), counts, strict=True)))


def superblock(*, data_blocks: int, salt: bytes, identity: uuid.UUID) -> bytes:
    """The first block of the hash device. ValueError for a salt that does not fit."""
    if len(salt) > LONGEST_SALT:
        raise ValueError(f"a salt has at most {LONGEST_SALT} bytes, and this one {len(salt)}")
    fields = (MAGIC, 1, 1, identity.bytes, b"sha256", BLOCK, BLOCK, data_blocks, len(salt), salt)
    return _FIELDS.pack(*fields).ljust(BLOCK, b"\0")


@dataclass(frozen=True, slots=True)
class Superblock:
    """What the first block of a hash device says."""

    data_bytes: int
    salt: bytes
    identity: uuid.UUID


def read_superblock(device: ReadAt) -> Superblock | None:
    """None for a device without one, or with one of another form than ours."""
    raw = device.read_at(0, _FIELDS.size)
    if len(raw) < _FIELDS.size:
        return None
    magic, version, kind, identity, name, data, tree, blocks, length, salt = _FIELDS.unpack(raw)
    form = (magic, version, kind, name.rstrip(b"\0"), data, tree)
    if form != (MAGIC, 1, 1, b"sha256", BLOCK, BLOCK) or length > LONGEST_SALT:
        return None
    return Superblock(blocks * BLOCK, salt[:length], uuid.UUID(bytes=identity))


def identities_of(root_hash: str) -> tuple[uuid.UUID, uuid.UUID]:
    """The partition UUIDs of data and tree (Discoverable Partitions Specification): the hash's two ends."""
    return uuid.UUID(hex=root_hash[:32]), uuid.UUID(hex=root_hash[-32:])
