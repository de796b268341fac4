"""A release as its repository tells it: what a version consists of, where channels point, what was withdrawn.

Each document is JSON and a target of the repository (The Update Framework 1.0.33, section 4.5), so its size and
digest are signed there. Reading refuses unknown fields and numbers that do not fit together.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import TypeVar

import msgspec

from bedplate.model.digests import Sha256
from bedplate.model.errors import PeerError, UserError
from bedplate.model.versions import ImageVersion

FORMAT = 1
CHUNK_BYTES = 16 << 20
WITHDRAWN = "withdrawn.json"
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CHANNEL = re.compile(r"[0-9]+\.[0-9]+/[a-z][a-z0-9-]{0,62}", re.ASCII)
Document = TypeVar("Document", bound="_Document")


class PartName(StrEnum):
    """What a node writes of a release: the data of a slot, and the UKI that boots it."""

    USR = "usr"
    UKI = "uki"


class PayloadKind(StrEnum):
    FULL = "full"
    DELTA = "delta"


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Any of the documents here."""


class Part(_Document, frozen=True):
    """The bytes that a node ends up with: `chunks` are the digests of every CHUNK_BYTES of them, the last shorter.

    A node that was interrupted reads what is there, chunk by chunk, and goes on where the first one differs.
    """

    size: int
    sha256: Sha256
    chunks: tuple[Sha256, ...]

    def __post_init__(self) -> None:
        _require(self.size > 0, "a part is empty")
        _require(len(self.chunks) == -(-self.size // CHUNK_BYTES), "a part has another number of chunks than its size")
        _require(all(map(_DIGEST.fullmatch, (self.sha256, *self.chunks))), "a part has something else than a SHA-256")

    def chunk_size(self, index: int) -> int:
        return min(CHUNK_BYTES, self.size - index * CHUNK_BYTES)


class Verity(_Document, frozen=True):
    """How /usr is checked: the parameters of its hash tree, which a node makes itself, and the signed root of it.

    `root_hash` and `salt` are hexadecimal, `uuid` is the hash device's own; blocks have 4096 bytes and the digest is
    SHA-256. `signature` is the content of the signature partition (Discoverable Partitions Specification), in full.
    """

    root_hash: str
    salt: str
    uuid: str
    signature: bytes

    def __post_init__(self) -> None:
        _require(_DIGEST.fullmatch(self.root_hash) is not None, "the root hash is not a SHA-256")


class Payload(_Document, frozen=True):
    """One way to come by a part: `path` is its target, `size` and `sha256` are those of the file that is fetched.

    A full payload is one zstd frame (RFC 8878) for each chunk of the part, `frames` long each. A delta is made
    against the same part of version `base`, whose digest is `base_sha256`, and needs `memory` bytes to be applied.
    """

    part: PartName
    kind: PayloadKind
    path: str
    size: int
    sha256: Sha256
    frames: tuple[int, ...] = ()
    base: str = ""
    base_sha256: str = ""
    memory: int = 0

    def __post_init__(self) -> None:
        _require(_DIGEST.fullmatch(self.sha256) is not None, "a payload has something else than a SHA-256")
        if self.kind is PayloadKind.FULL:
            _require(not self.base and sum(self.frames) == self.size, "the frames are not the payload")
        else:
            _require(_DIGEST.fullmatch(self.base_sha256) is not None, "a delta does not say what it is made against")
            ImageVersion.parse(self.base)


class Release(_Document, frozen=True):
    """The manifest of a version: target `releases/VERSION/manifest.json`.

    `made` is when the image was; `minimum` is the oldest version that may become this one directly, or empty.
    """

    version: str
    made: datetime
    kubernetes: str
    kernel: str
    usr: Part
    uki: Part
    verity: Verity
    payloads: tuple[Payload, ...]
    minimum: str = ""
    format: int = FORMAT

    def __post_init__(self) -> None:
        _require(self.format == FORMAT, f"its format is {self.format}, and this is made for {FORMAT}")
        for version in filter(None, (self.version, self.minimum)):
            ImageVersion.parse(version)
        for payload in self.payloads:
            _require(payload.path.startswith(f"{folder_of(self.version)}/"), f"{payload.path} is another release's")
            whole = payload.kind is PayloadKind.DELTA or len(payload.frames) == len(self.part(payload.part).chunks)
            _require(whole, f"{payload.path} has another number of frames than the part has chunks")
        for name in PartName:
            full = [each for each in self.payloads if each.part is name and each.kind is PayloadKind.FULL]
            _require(len(full) == 1, f"there is not one full payload for {name}")

    def part(self, name: PartName) -> Part:
        return self.usr if name is PartName.USR else self.uki


class Channel(_Document, frozen=True):
    """A channel's pointer: target `channels/MINOR/NAME.json`. `name` is of the form `1.37/stable`.

    `since` is when it came to point to `version`; `history` are the versions before that, the newest first.
    """

    name: str
    version: str
    since: datetime
    history: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(_CHANNEL.fullmatch(self.name) is not None, f"{self.name!r} is not the name of a channel")
        minor, _, _ = self.name.partition("/")
        same = str(ImageVersion.parse(self.version).kubernetes) == minor
        _require(same, f"channel {self.name} points to {self.version}, which is of another minor")


class Withdrawal(_Document, frozen=True):
    """A version that nodes refuse, and why."""

    version: str
    reason: str
    at: datetime


class Withdrawn(_Document, frozen=True):
    """All withdrawals: target `withdrawn.json`, in the order of their versions."""

    versions: tuple[Withdrawal, ...] = ()

    def __post_init__(self) -> None:
        order = [ImageVersion.parse(each.version) for each in self.versions]
        _require(all(before < after for before, after in pairwise(order)), "the withdrawals are not in order")

    def find(self, version: str) -> Withdrawal | None:
        return next((each for each in self.versions if each.version == version), None)


def folder_of(version: str) -> str:
    """Where the targets of a release lie."""
    return f"releases/{version}"


def manifest_path(version: str) -> str:
    return f"{folder_of(version)}/manifest.json"


def channel_path(name: str) -> str:
    """The target of channel `name`, which is of the form `1.37/stable`."""
    return f"channels/{name}.json"


def encode(document: _Document) -> bytes:
    """The same bytes for the same values, ending in a line break."""
    return msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=1) + b"\n"


def decode(text: bytes, kind: type[Document]) -> Document:
    """Raises `PeerError` for anything but a sound document of that kind."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, UserError) as problem:
        raise PeerError(
            f"The repository's {kind.__name__.lower()} document cannot be used.",
            details=str(problem),
            resolution="It may be made for a newer Bedplate than this one: move to a version in between first.",
        ) from problem


def _require(holds: bool, what: str) -> None:  # noqa: FBT001 — reads as a sentence at its calls
    if not holds:
        raise ValueError(what)
