"""Releases of a few bytes, as tests publish them."""

from __future__ import annotations

from pathlib import Path

import zstandard

from bedplate.model.digests import sha256
from bedplate.testing.clock import START
from bedplate.testing.uki import make_uki
from bedplate.wire.release import (
    CHUNK_BYTES,
    Part,
    PartName,
    Payload,
    PayloadKind,
    Release,
    Verity,
    encode,
    folder_of,
    manifest_path,
)

MIRROR = "https://releases.example"
VERSION = "Bedplate-1.37-amd64-202611.24.0"
OLDER = "Bedplate-1.37-amd64-202611.20.0"


def release_of(
    version: str, *, usr: bytes, uki: bytes | None = None, packed: bool = False
) -> tuple[Release, dict[str, bytes]]:
    """A release and the targets it consists of.

    Its full payloads are the parts themselves, or `packed` as nodes take them. Where no UKI is given it is one that
    starts the /usr, and packed always, since who publishes it looks into it.
    """
    pack_uki = packed or uki is None
    uki = make_uki(version, sha256(usr)) if uki is None else uki
    sent = {PartName.USR: _frames(usr, packed=packed), PartName.UKI: _frames(uki, packed=pack_uki)}
    paths = {name: f"{folder_of(version)}/{name}.zst" for name in sent}
    release = Release(
        version=version,
        made=START,
        kubernetes="v1.37.2",
        kernel="6.12.118+deb13-amd64",
        usr=part_of(usr),
        uki=part_of(uki),
        verity=Verity(root_hash=sha256(usr), salt="00", uuid="7b1a4e0c-5f1d-4c5e-9d55-0f6f2c0b7ed1", signature=b"sig"),
        payloads=tuple(
            Payload(
                part=name,
                kind=PayloadKind.FULL,
                path=paths[name],
                size=sum(map(len, frames)),
                sha256=sha256(b"".join(frames)),
                frames=tuple(map(len, frames)),
            )
            for name, frames in sent.items()
        ),
    )
    files = {paths[name]: b"".join(frames) for name, frames in sent.items()}
    return release, {**files, manifest_path(version): encode(release)}


def prepared_release(folder: Path, version: str, *, usr: bytes = b"usr" * 5000) -> Path:
    """A folder with a release ready to be published."""
    folder.mkdir(parents=True)
    for path, data in release_of(version, usr=usr)[1].items():
        (folder / path.rpartition("/")[2]).write_bytes(data)
    return folder


def part_of(data: bytes) -> Part:
    return Part(size=len(data), sha256=sha256(data), chunks=tuple(sha256(piece) for piece in _chunks(data)))


def _chunks(data: bytes) -> list[bytes]:
    return [data[first : first + CHUNK_BYTES] for first in range(0, len(data), CHUNK_BYTES)]


def _frames(data: bytes, *, packed: bool) -> list[bytes]:
    chunks = _chunks(data)
    return [zstandard.ZstdCompressor().compress(chunk) for chunk in chunks] if packed else chunks
