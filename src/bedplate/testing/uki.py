"""Small files that a boot loader takes for a UKI."""

from __future__ import annotations

import struct


def make_uki(version: str, root_hash: str, *, size: int = 6000, image: str = "bedplate") -> bytes:
    """A PE file with the sections that are read, and bytes that are this version's own up to `size`."""
    release = f"ID=bedplate\nIMAGE_ID={image}\nIMAGE_VERSION={version}\n".encode()
    sections = {".osrel": release, ".cmdline": f"quiet usrhash={root_hash}".encode()}
    at = 512
    table, body = b"", b""
    for name, content in sections.items():
        table += struct.pack("<8sIIII16x", name.encode(), len(content), 0, len(content), at + len(body))
        body += content
    filling = (version.encode() * (size // len(version) + 1))[: size - at - len(body)]
    table += struct.pack("<8sIIII16x", b".linux", len(filling), 0, len(filling), at + len(body))
    header = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + struct.pack("<4sHH12xHH", b"PE\0\0", 0x8664, 3, 0, 0)
    return (header + table).ljust(at, b"\0") + body + filling
