"""Names in a FAT32 folder: the short one of a row, and the long one in the rows before it.

Microsoft, FAT32 File System Specification 1.03. A power cut may leave some of these rows, or those of another file.
"""

from __future__ import annotations

from collections.abc import Mapping


def name_of(row: bytes, parts: Mapping[int, bytes]) -> str:
    """A long name counts only whole, and with the checksum of the short one that follows."""
    whole = 1 in parts and parts[1][13] == checksum_of(row)
    text = b"".join(part[1:11] + part[14:26] + part[28:32] for _, part in sorted(parts.items()))
    long = text.decode("utf-16-le", "replace").split("\0")[0] if whole else ""
    stem, suffix = (row[a:b].decode("ascii", "replace").rstrip() for a, b in ((0, 8), (8, 11)))
    return long or (f"{stem}.{suffix}" if suffix else stem)


def with_row(parts: Mapping[int, bytes], row: bytes) -> Mapping[int, bytes]:
    """The rows of a long name with one more: the last part comes first, and each has the checksum of the one before."""
    number = row[0] & 0x3F
    follows = not parts if row[0] & 0x40 else number + 1 in parts and parts[number + 1][13] == row[13]
    return {**parts, number: row} if follows and number else {}


def checksum_of(short: bytes) -> int:
    """What ties the rows of a long name to the 11 bytes of the short one after them."""
    total = 0
    for byte in short[:11]:
        total = ((total >> 1) | (total & 1) << 7) + byte & 0xFF
    return total
