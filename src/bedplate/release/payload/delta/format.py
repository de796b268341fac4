"""The delta format, version 1: the head, and the numbers of its commands (docs/reference/delta-format.md)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import BinaryIO

import msgspec

from bedplate.release.payload.parts import not_the_part

MAGIC = b"bpdelta1"
HEAD_BYTES = 1 << 16
STREAM_WINDOW = 1 << 23
"""The dictionary of each xz stream: what a node must hold for it."""
STREAM_MEMORY = STREAM_WINDOW + (1 << 20)
_LENGTH = struct.Struct("<I")


class Command(IntEnum):
    """What the lowest two bits of a number in the control stream say; the other bits are its amount.

    COPY, ADD and NEW make as many bytes: of the base as they are; of the base, each plus one of the diff stream;
    of the extra stream. SEEK moves the place in the base, the lowest bit of its amount being the sign.
    """

    COPY = 0
    ADD = 1
    NEW = 2
    SEEK = 3


class Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """`size` bytes of a file as they are (`level` 0), or a zstd frame of that size which holds `inner` bytes.

    `level` and the two flags are what makes the frame again (ZSTD_c_compressionLevel, ZSTD_c_contentSizeFlag).
    """

    size: int
    inner: int = 0
    level: int = 0
    sized: bool = False

    @property
    def opened(self) -> int:
        """How many bytes it stands for in the uncompressed domain."""
        return self.inner if self.level else self.size

    def __post_init__(self) -> None:
        if not (0 < self.size <= 1 << 40 and 0 <= self.inner <= 1 << 40 and 0 <= self.level <= 22):
            raise ValueError("a segment of an impossible size or level")


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How base and part lie in the uncompressed domain, and how long the three streams are.

    `beside` is the size of the new /usr where commands may refer to it; it follows the base.
    """

    base: tuple[Segment, ...]
    part: tuple[Segment, ...]
    streams: tuple[int, int, int]
    beside: int = 0

    def __post_init__(self) -> None:
        if self.beside < 0 or min(self.streams) < 0:
            raise ValueError("a negative size")

    @property
    def plain(self) -> bool:
        """Whether the part is nothing but what the commands make."""
        return not any(segment.level for segment in self.part)


def write_head(head: Head) -> bytes:
    text = msgspec.json.encode(head)
    return MAGIC + _LENGTH.pack(len(text)) + text


def read_head(delta: BinaryIO) -> Head:
    """The head at the beginning of the file, which is then at the control stream. Raises `PeerError`."""
    start = delta.read(len(MAGIC) + _LENGTH.size)
    if len(start) < len(MAGIC) + _LENGTH.size or start[: len(MAGIC)] != MAGIC:
        raise not_the_part("it is not a delta of this version of the format")
    (length,) = _LENGTH.unpack(start[len(MAGIC) :])
    if length > HEAD_BYTES:
        raise not_the_part(f"the head of the delta claims {length} bytes")
    try:
        return msgspec.json.decode(delta.read(length), type=Head)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise not_the_part(f"the head of the delta cannot be read: {problem}") from problem


def most_commands(size: int) -> int:
    """How many commands may make a part of `size` bytes: what bounds the time that a lying delta can take."""
    return size // 16 + 1024


def encode_number(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit says that more follow (LEB128)."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_command(command: Command, amount: int) -> bytes:
    """`amount` is negative for SEEK only."""
    unsigned = (amount << 1 if amount >= 0 else -amount << 1 | 1) if command is Command.SEEK else amount
    return encode_number(unsigned << 2 | command)


def total(segments: Iterable[Segment]) -> int:
    """The size in the uncompressed domain."""
    return sum(segment.opened for segment in segments)
