"""Small UKIs with a kernel and an initrd that are packed as real ones are."""

from __future__ import annotations

import struct

from bedplate.release.payload.delta.format import Segment
from bedplate.release.payload.delta.frames import packed
from bedplate.release.payload.delta.uki import HOW


def frame(kind: str, content: bytes) -> bytes:
    how = HOW[kind]
    return b"".join(packed([content], Segment(1, len(content), how.level, how.sized)))


def kernel_file(content: bytes) -> bytes:
    """A bzImage (Linux, Documentation/arch/x86/boot.rst) with one sector of set-up code and its payload."""
    payload = frame("kernel", content) + struct.pack("<I", len(content))
    head = bytearray(2 * 512)
    head[0x1F1] = 1
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, 0, len(payload))
    return bytes(head) + payload


def archive(**files: bytes) -> bytes:
    """A cpio archive in the newc form."""
    out = b""
    for name, content in {**files, "TRAILER!!!": b""}.items():
        sizes = [0] * 6 + [len(content)] + [0] * 4 + [len(name) + 1, 0]
        out += b"070701" + b"".join(b"%08X" % size for size in sizes) + name.encode() + b"\0"
        out = out.ljust(-(-len(out) // 4) * 4, b"\0") + content
        out = out.ljust(-(-len(out) // 4) * 4, b"\0")
    return out


def uki(kernel: bytes, initrd: bytes, command_line: bytes, *, release: bytes = b"") -> bytes:
    """`release` is the text of its os-release."""
    sections = {b".linux": kernel_file(kernel), b".initrd": frame("initrd", initrd), b".cmdline": command_line}
    sections |= {b".osrel": release} if release else {}
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 64)
    head += b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, len(sections), 0, 0, 0, 0, 0)
    place, rows, bodies = 1024, b"", b""
    for name, content in sections.items():
        stored = -(-len(content) // 512) * 512
        rows += struct.pack("<8sIIII16x", name, len(content), 0, stored, place + len(bodies))
        bodies += content.ljust(stored, b"\0")
    return (head + rows).ljust(place, b"\0") + bodies + b"signature of " + command_line
