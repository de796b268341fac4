"""What lies where in a unified kernel image: its sections, the kernel's payload, the files of an initrd.

Sources: Linux Documentation/arch/x86/boot.rst, driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from bedplate.model.reading import InMemory
from bedplate.wire.erofs import Extent
from bedplate.wire.pe import read_sections

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
CPIO_MAGIC = b"070701"
CPIO_HEAD = 110


def sections(image: bytes) -> Mapping[str, Extent]:
    """The sections of a UKI that is in memory. ValueError when it is none."""
    return read_sections(InMemory(image))


def kernel_payload(image: bytes, kernel: Extent) -> Extent | None:
    """The zstd frame in a bzImage, without the size that follows it; none where it is packed otherwise."""
    if image[kernel.offset + 0x202 : kernel.offset + 0x206] != b"HdrS":
        return None
    setup = image[kernel.offset + 0x1F1] or 4
    offset, size = struct.unpack_from("<II", image, kernel.offset + 0x248)
    start = kernel.offset + (setup + 1) * 512 + offset
    whole = image[start : start + 4] == ZSTD_MAGIC and start + size <= kernel.end and size > 4
    return Extent(start, size - 4) if whole else None


def cpio_files(archive: bytes) -> Iterator[tuple[str, Extent]]:
    """Path and content of every entry of a `newc` archive. ValueError when it is none."""
    at = 0
    while archive[at : at + 6] == CPIO_MAGIC:
        size, name = int(archive[at + 54 : at + 62], 16), int(archive[at + 94 : at + 102], 16)
        start = _aligned(at + CPIO_HEAD + name)
        path = archive[at + CPIO_HEAD : at + CPIO_HEAD + name - 1].decode()
        if path == "TRAILER!!!":
            return
        yield path, Extent(start, size)
        at = _aligned(start + size)
    raise ValueError("no cpio archive in the newc form")


def _aligned(offset: int) -> int:
    return offset + -offset % 4
