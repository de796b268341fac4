"""Container images (OCI image specification 1.1) made of a few files: the same files give the same digests."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import msgspec

from bedplate.model.digests import Sha256, sha256
from bedplate.model.errors import UserError

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
"""Not compressed: the bytes travel within this computer, and unpacking would cost an emulated machine most."""

CHUNK_BYTES = 1 << 20
EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file of an image at the absolute `path`; `content` is its bytes or the file that has them."""

    path: str
    content: bytes | Path = field(repr=False)
    mode: int = 0o755

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    def chunks(self) -> Iterator[bytes]:
        if isinstance(self.content, bytes):
            yield self.content
            return
        with self.content.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """How a container of the image starts. `user` is `UID:GID`."""

    entrypoint: Sequence[str]
    command: Sequence[str] = ()
    user: str = "0:0"
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, written anew from its files each time it is read: nothing large is kept."""

    files: tuple[ImageFile, ...]
    digest: Sha256
    size: int

    def chunks(self) -> Iterator[bytes]:
        return tar_chunks(self.files)


@dataclass(frozen=True, slots=True)
class Image:
    """An image ready to be pushed; `digest` names it."""

    manifest: bytes
    config: bytes
    layer: Layer

    @property
    def digest(self) -> str:
        return f"sha256:{sha256(self.manifest)}"


def make_image(files: Iterable[ImageFile], config: ImageConfig, *, architecture: str = "amd64") -> Image:
    """The image of `files`, owned by root and dated 1970. Raises UserError for paths that fit in no one tree."""
    layer = _layer(tuple(sorted(files, key=lambda file: file.path)))
    settings = {
        "Entrypoint": list(config.entrypoint),
        "Cmd": list(config.command),
        "User": config.user,
        "WorkingDir": "/",
        "Env": [f"{name}={value}" for name, value in sorted(config.environment.items())],
        "Labels": dict(config.labels),
    }
    config_blob = _json(
        {
            "created": EPOCH,
            "architecture": architecture,
            "os": "linux",
            "config": {name: value for name, value in settings.items() if value},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}"]},
        }
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _descriptor(CONFIG_TYPE, sha256(config_blob), len(config_blob)),
        "layers": [_descriptor(LAYER_TYPE, layer.digest, layer.size)],
    }
    return Image(_json(manifest), config_blob, layer)


def _layer(files: tuple[ImageFile, ...]) -> Layer:
    digest, size = hashlib.sha256(), 0
    for chunk in tar_chunks(files):
        digest.update(chunk)
        size += len(chunk)
    return Layer(files, Sha256(digest.hexdigest()), size)


def tar_chunks(files: Sequence[ImageFile]) -> Iterator[bytes]:
    """A POSIX ustar archive of `files` and the folders above them, in the order of their paths."""
    entries: dict[str, ImageFile | None] = {}
    for file in files:
        path = PurePosixPath(file.path)
        if not path.is_absolute() or ".." in path.parts or _inside(path) in entries:
            raise UserError(f"{file.path} cannot be a file of this image.", details="Paths are absolute and unique.")
        for folder in reversed(path.parents[:-1]):
            if entries.setdefault(_inside(folder), None) is not None:
                raise UserError(f"{folder} cannot be both a file and a folder of an image.")
        entries[_inside(path)] = file
    for name, entry in entries.items():
        yield _header(name, entry)
        if entry is not None:
            yield from entry.chunks()
            yield bytes(-entry.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _inside(path: PurePosixPath) -> str:
    return str(path).lstrip("/")


def _header(name: str, file: ImageFile | None) -> bytes:
    info = tarfile.TarInfo(name)
    if file is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    else:
        info.size, info.mode = file.size, file.mode
    return info.tobuf(tarfile.USTAR_FORMAT)


def _descriptor(kind: str, digest: Sha256, size: int) -> dict[str, object]:
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": size}


def _json(document: object) -> bytes:
    return msgspec.json.encode(document)
