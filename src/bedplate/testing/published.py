"""Releases of images for tests: whole, signed as ever, and packed in seconds instead of minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard

from bedplate.host.files import file_sha256
from bedplate.image.build import Image
from bedplate.image.verity import verity_of
from bedplate.model.versions import ImageVersion
from bedplate.release.payload.make import Base, make_uki_delta, make_usr_delta
from bedplate.release.payload.parts import describe_part
from bedplate.release.publish.prepared import Facts, prepare
from bedplate.testing.home import Home
from bedplate.wire.release import CHUNK_BYTES, Part, PartName, Payload, PayloadKind, folder_of

LEVEL = 1
USR, UKI = "usr.erofs", "uki.efi"
CHANNEL = "1.37/stable"


@dataclass(frozen=True, slots=True)
class Against:
    """What deltas are made against: the parts of `image`, told to be those of `version`.

    With `kernel` that of the UKI has the kernel unpacked, and a node packs it again.
    """

    version: str
    image: Image
    kernel: bool = False


@dataclass(frozen=True, slots=True)
class QuickMaker:
    """Implements `bedplate.release.publish.prepared.Maker`: full payloads packed loosely, and deltas where asked."""

    usr: Path
    against: Against | None = None

    def describe(self, source: Path) -> Part:
        return describe_part(source)

    def payloads(self, name: PartName, source: Path, folder: Path, version: str) -> Sequence[Payload]:
        target, packer, frames = folder / f"{name}.zst", zstandard.ZstdCompressor(level=LEVEL), []
        with source.open("rb") as opened, target.open("wb") as sink:
            while chunk := opened.read(CHUNK_BYTES):
                frames.append(sink.write(packer.compress(chunk)))
        path = f"{folder_of(version)}/{target.name}"
        full = Payload(
            part=name,
            kind=PayloadKind.FULL,
            path=path,
            size=sum(frames),
            sha256=file_sha256(target),
            frames=tuple(frames),
        )
        return [full, self._delta(self.against, name, source, folder, version)] if self.against else [full]

    def _delta(self, against: Against, name: PartName, source: Path, folder: Path, version: str) -> Payload:
        target = folder / f"{name}.from-{against.version}.delta"
        path = f"{folder_of(version)}/{target.name}"
        if name is PartName.USR:
            return make_usr_delta(Base(against.version, against.image.folder / USR), source, target, path=path)
        base = Base(against.version, against.image.folder / UKI)
        return make_uki_delta(base, source, self.usr, target, path=path, kernel=against.kernel)


@dataclass(frozen=True, slots=True)
class LabRepository:
    """A repository in `folder` with its keys beside it, kept by the commands of `home`."""

    home: Home
    folder: Path

    def begin(self) -> None:
        self._release("init", f"--repository={self.folder}", f"--keys={self.keys}")

    def publish(self, image: Image, against: Against | None = None) -> str:
        """Publish an image, with deltas `against` another; its version."""
        version = image.manifest.version
        made = ImageVersion.parse(version).begins
        facts = Facts(version, made, "v1.37.2", image.manifest.kernel, verity_of(image.folder))
        parts = {PartName.USR: image.folder / USR, PartName.UKI: image.folder / UKI}
        prepared = self.folder.with_name(f"prepared-{version}")
        prepare(prepared, facts, parts, {}, QuickMaker(image.folder / USR, against))
        self._change("publish", str(prepared))
        return version

    def promote(self, version: str) -> None:
        self._change("promote", version, CHANNEL)

    def bundle(self, file: Path) -> None:
        """Write what the channel points to into one file."""
        self._change("bundle", CHANNEL, "--days=60", f"--file={file}")

    def refresh(self) -> None:
        """Sign a new timestamp."""
        self._change("refresh")

    @property
    def keys(self) -> Path:
        return self.folder.with_name("keys")

    def _change(self, *arguments: str) -> None:
        self._release(*arguments, f"--repository={self.folder}", f"--keys={self.keys}")

    def _release(self, *arguments: str) -> None:
        self.home.bedplate("release", *arguments)
