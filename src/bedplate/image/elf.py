"""Which shared libraries a program asks for: the dynamic section of ELF files (System V ABI, gABI chapter 5)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAGIC = b"\x7fELF"
DYNAMIC_SEGMENT, LOAD_SEGMENT, INTERPRETER_SEGMENT = 2, 1, 3
NEEDED, STRING_TABLE = 1, 5


@dataclass(frozen=True, slots=True)
class Dynamic:
    """`needed` are sonames as written; `interpreter` is the loader's path, empty for libraries and static programs."""

    needed: tuple[str, ...]
    interpreter: str


def is_elf(head: bytes) -> bool:
    return head.startswith(MAGIC)


def read_dynamic(data: bytes) -> Dynamic:
    """The dynamic section of a 64-bit little-endian ELF file; empty for static programs. ValueError when it is none."""
    if not is_elf(data) or data[4:6] != b"\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    offset, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    segments = [struct.unpack_from("<IIQQQQ", data, offset + size * n) for n in range(count)]
    interpreter = next((_text(data, s[2]) for s in segments if s[0] == INTERPRETER_SEGMENT), "")
    dynamic = next((s for s in segments if s[0] == DYNAMIC_SEGMENT), None)
    if dynamic is None:
        return Dynamic((), interpreter)
    entries = [struct.unpack_from("<qQ", data, dynamic[2] + 16 * n) for n in range(dynamic[5] // 16)]
    table = next((value for tag, value in entries if tag == STRING_TABLE), None)
    if table is None:
        return Dynamic((), interpreter)
    strings = _file_offset(segments, table)
    return Dynamic(tuple(_text(data, strings + value) for tag, value in entries if tag == NEEDED), interpreter)


def _file_offset(segments: list[tuple[int, ...]], address: int) -> int:
    for kind, _, offset, virtual, _, size in segments:
        if kind == LOAD_SEGMENT and virtual <= address < virtual + size:
            return offset + address - virtual
    raise ValueError(f"no segment holds address {address:#x}")


def _text(data: bytes, offset: int) -> str:
    return data[offset : data.index(b"\0", offset)].decode()
