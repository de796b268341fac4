"""Writes the chunks of a part into a slot, and believes only what it reads back."""

from __future__ import annotations

from collections.abc import Iterable

from bedplate.host.disks import BlockDevice
from bedplate.model.digests import sha256
from bedplate.model.errors import MachineError, OurError
from bedplate.model.reading import ReadAt
from bedplate.wire.release import CHUNK_BYTES, Part


def leading_chunks(part: Part, there: ReadAt) -> int:
    """How many chunks from the first on are there already. What cannot be read is not there: it is written anew."""
    for index, digest in enumerate(part.chunks):
        try:
            found = there.read_at(index * CHUNK_BYTES, part.chunk_size(index))
        except MachineError:
            return index
        if len(found) != part.chunk_size(index) or sha256(found) != digest:
            return index
    return len(part.chunks)


def write_chunks(part: Part, chunks: Iterable[bytes], device: BlockDevice, *, first: int) -> None:
    """Write chunk `first` and all that follow, flush, and read each back.

    Raises `MachineError` when the device is too small or returns something else, `OurError` for chunks that are not
    the part's: those are checked before they come here.
    """
    require_room(part.size, device, "usr")
    index = first
    for chunk in chunks:
        if index >= len(part.chunks) or sha256(chunk) != part.chunks[index]:
            raise OurError(f"Chunk {index} is not what the release names.")
        write_checked(device, index * CHUNK_BYTES, chunk)
        index += 1
    if index != len(part.chunks):
        raise OurError(f"Only {index} of {len(part.chunks)} chunks came.")


def write_checked(device: BlockDevice, offset: int, data: bytes) -> None:
    """Write, flush, and compare with what the device has then."""
    device.write_at(offset, data)
    device.flush()
    if device.read_at(offset, len(data)) != data:
        raise MachineError(
            f"The disk does not keep what is written to it at {offset}.",
            details=f"{len(data)} bytes read back differ.",
            resolution="The disk is failing: replace it. What runs now stays what boots.",
        )


def require_room(size: int, device: BlockDevice, what: str) -> None:
    """A `MachineError` when `size` bytes do not fit."""
    if size > device.size:
        raise MachineError(
            f"The partition for {what} is too small.",
            details=f"{size} bytes are to be written, and {device.size} fit.",
            resolution="This version needs a larger partition: make the machine anew from its image.",
        )
