"""The parameters of an image's hash tree, read back from its files."""

from __future__ import annotations

import struct
import uuid
from pathlib import Path

from bedplate.image.manifest import read_manifest
from bedplate.model.errors import MachineError
from bedplate.wire.release import Verity

SUPERBLOCK = struct.Struct("<8sII16s32sIIQH6x256s")
"""Version 1 of veritysetup's (cryptsetup, lib/verity/verity.c)."""
MAGIC = b"verity\0\0"


def verity_of(folder: Path) -> Verity:
    """Root hash, salt, identity and signature of the image in `folder`."""
    with (folder / "usr.verity").open("rb") as opened:
        head = opened.read(SUPERBLOCK.size)
    if len(head) != SUPERBLOCK.size or not head.startswith(MAGIC):
        raise MachineError(f"{folder} is not a whole image.", details="usr.verity has no superblock.")
    fields = SUPERBLOCK.unpack(head)
    identity, length, salt = fields[3], fields[8], fields[9]
    return Verity(
        root_hash=read_manifest(folder).root_hash,
        salt=salt[:length].hex(),
        uuid=str(uuid.UUID(bytes=identity)),
        signature=(folder / "usr.verity-sig").read_bytes(),
    )
