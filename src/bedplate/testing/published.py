"""Releases of images for tests: whole, signed as ever, and packed in seconds instead of minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path

import zstandard

from bedplate.host.files import file_sha256
from bedplate.image.build import Image
from bedplate.image.verity import verity_of
from bedplate.model.versions import ImageVersion
from bedplate.release.payload.make import Base, make_uki_delta
from bedplate.release.payload.parts import describe_part
from bedplate.release.publish.prepared import Facts, prepare
from bedplate.testing.home import Home
from bedplate.wire.release import CHUNK_BYTES, Part, PartName, Payload, PayloadKind, folder_of

LEVEL = 1
CHANNEL = "1.37/stable"
USR, UKI = "usr.erofs", "uki.efi"


@dataclass(frozen=True, slots=True)
class QuickMaker:
    """Implements `bedplate.release.publish.prepared.Maker`: full payloads, packed loosely, and no deltas but one.

    That is of the UKI from `base` to `image`, where there is such a base, with its kernel packed again.
    """

    image: Image
    base: Image | None = None

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
        return [full, self._delta(self.base, folder, version)] if self.base and name is PartName.UKI else [full]

    def _delta(self, base: Image, folder: Path, version: str) -> Payload:
        old, target = Base(base.manifest.version, base.folder / UKI), folder / "uki.repack.delta"
        path = f"{folder_of(version)}/{target.name}"
        return make_uki_delta(old, self.image.folder / UKI, self.image.folder / USR, target, path=path, kernel=True)


@dataclass(frozen=True, slots=True)
class LabRepository:
    """A repository in `folder` with its keys beside it, kept by the commands of `home`."""

    home: Home
    folder: Path

    def begin(self) -> None:
        self._release("init", f"--repository={self.folder}", f"--keys={self.keys}")

    def publish(self, image: Image, base: Image | None = None) -> str:
        """Publish an image, and the delta of its UKI from that of `base`; its version."""
        version = image.manifest.version
        made = datetime.combine(ImageVersion.parse(version).day, time(), UTC)
        facts = Facts(version, made, "v1.37.2", image.manifest.kernel, verity_of(image.folder))
        parts = {PartName.USR: image.folder / USR, PartName.UKI: image.folder / UKI}
        prepared = self.folder.with_name(f"prepared-{version}")
        prepare(prepared, facts, parts, {}, QuickMaker(image, base))
        self._change("publish", str(prepared))
        return version

    def promote(self, version: str) -> None:
        self._change("promote", version, CHANNEL)

    @property
    def keys(self) -> Path:
        return self.folder.with_name("keys")

    def _change(self, *arguments: str) -> None:
        self._release(*arguments, f"--repository={self.folder}", f"--keys={self.keys}")

    def _release(self, *arguments: str) -> None:
        self.home.bedplate("release", *arguments)
