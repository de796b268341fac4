"""From an image to a release that is ready to be published: payloads, manifest, bill of materials, notes, changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path

from bedplate.image.manifest import Manifest, read_manifest
from bedplate.image.sbom import Sbom, changes, read_sbom, sbom, write
from bedplate.image.verity import verity_of
from bedplate.model.errors import UserError
from bedplate.model.versions import ImageVersion, require_same_minor
from bedplate.release.publish.prepared import Facts, Maker, prepare
from bedplate.release.publish.shown import Shown, target_bytes
from bedplate.release.publish.store import Store
from bedplate.wire.release import PartName, Release, folder_of

PARTS = {PartName.USR: "usr.erofs", PartName.UKI: "uki.efi"}
SBOM, NOTES, CHANGES = "sbom.json", "notes.md", "changes.json"


@dataclass(frozen=True, slots=True)
class Making:
    """What the image itself does not tell: versions of the programs from source by name, notes, and `minimum`.

    `kubernetes` is the version in full, v1.37.2.
    """

    built: Mapping[str, str]
    kubernetes: str
    notes: str = ""
    minimum: str = ""


def prepare_image(image: Path, folder: Path, making: Making, *, before: Sbom | None, maker: Maker) -> Release:
    """Fill `folder` with the release of the image in `image`. `before` is what the release before consisted of."""
    manifest = read_manifest(image)
    if manifest.debug:
        raise UserError(
            f"{image} is a development image.",
            details="It has a root shell on its console.",
            resolution="Publish one that was built without --debug.",
        )
    require_same_minor(making.kubernetes, manifest.version)
    bill = sbom(manifest, making.built)
    papers = {SBOM: write(bill), CHANGES: write(changes(before, bill))}
    papers |= {NOTES: making.notes.encode()} if making.notes else {}
    parts = {name: image / file for name, file in PARTS.items()}
    return prepare(folder, facts_of(image, manifest, making), parts, papers, maker)


def facts_of(image: Path, manifest: Manifest, making: Making) -> Facts:
    made = datetime.combine(ImageVersion.parse(manifest.version).day, time(), UTC)
    verity = verity_of(image)
    return Facts(manifest.version, made, making.kubernetes, manifest.kernel, verity, making.minimum)


def sbom_before(store: Store, shown: Shown, version: str) -> Sbom | None:
    """The bill of materials of the newest published version of the same minor before `version`, if it has one."""
    new = ImageVersion.parse(version)
    older = [each for each in shown.versions if _precedes(ImageVersion.parse(each), new)]
    path = f"{folder_of(older[0])}/{SBOM}" if older else ""
    text = target_bytes(store, shown, path) if path else None
    return read_sbom(text) if text is not None else None


def _precedes(old: ImageVersion, new: ImageVersion) -> bool:
    return (old.kubernetes, old.architecture) == (new.kubernetes, new.architecture) and old < new
