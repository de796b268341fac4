"""Makes the hash tree of a slot from the slot itself, as `veritysetup format` does."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass

from bedplate.model.digests import SHA256_BYTES
from bedplate.model.reading import ReadAt
from bedplate.wire.verity import BLOCK, shape_of, superblock

PIECE = 4 << 20
"""Bytes of the slot that are in memory at once; the tree is, too: a 127th of the data."""


@dataclass(frozen=True, slots=True)
class Tree:
    """What belongs on the hash device from its beginning on, and the hash that vouches for all of it."""

    root_hash: str
    image: bytes


def make_tree(data: ReadAt, size: int, *, salt: bytes, identity: uuid.UUID) -> Tree:
    """The tree over the first `size` bytes, whole blocks. ValueError when that is no such number, or too many."""
    if size <= 0 or size % BLOCK or size > data.size:
        raise ValueError(f"{size} bytes are not whole blocks of the {data.size} that are there")
    shape = shape_of(size // BLOCK)
    image = bytearray(shape.size)
    image[:BLOCK] = superblock(data_blocks=shape.data_blocks, salt=salt, identity=identity)
    salted = hashlib.sha256(salt)
    hashes = bytearray()
    for at in range(0, size, PIECE):
        piece = data.read_at(at, min(PIECE, size - at))
        if len(piece) < min(PIECE, size - at):
            raise ValueError(f"the data ends within the block at {at + len(piece)}")
        hashes += _hashes(piece, salted)
    for start, blocks in shape.levels:
        level = bytes(hashes).ljust(blocks * BLOCK, b"\0")
        image[start * BLOCK : (start + blocks) * BLOCK] = level
        hashes = bytearray(_hashes(level, salted))
    return Tree(hashes[:SHA256_BYTES].hex(), bytes(image))


def _hashes(data: bytes, salted: hashlib._Hash) -> bytes:
    """The hash of each block, one after another; `salted` has taken the salt in."""
    view = memoryview(data)
    return b"".join(_hash(view[at : at + BLOCK], salted) for at in range(0, len(data), BLOCK))


def _hash(block: memoryview, salted: hashlib._Hash) -> bytes:
    taken = salted.copy()
    taken.update(block)
    return taken.digest()
