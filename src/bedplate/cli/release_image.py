"""From an image to a release that is ready to be published: payloads, manifest, bill of materials, notes, changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bedplate.cli.context import places
from bedplate.cli.release_payloads import PayloadMaker, older_parts, versions_before
from bedplate.host.report import Report
from bedplate.image.components.catalogue import read_catalogue
from bedplate.image.manifest import Manifest, read_manifest
from bedplate.image.sbom import Sbom, changes, read_sbom, sbom, write
from bedplate.image.verity import verity_of
from bedplate.model.errors import UserError
from bedplate.model.versions import ImageVersion, require_same_minor
from bedplate.release.publish.prepared import Facts, Maker, prepare
from bedplate.release.publish.shown import Shown, read_shown, target_bytes
from bedplate.release.publish.store import Store
from bedplate.release.trust.layout import TIMESTAMP_FILE
from bedplate.wire.release import PartName, PayloadKind, Release, folder_of

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


def making_of(root: Path, *, notes: Path | None, minimum: str) -> Making:
    """What the checkout at `root` and its user say of an image."""
    catalogue = read_catalogue(root / "components")
    built = {tool.name: component.version for component in catalogue for tool in component.tools}
    kubernetes = next(component.version for component in catalogue if component.name == "kubernetes")
    return Making(built, kubernetes, notes=_text(notes) if notes else "", minimum=minimum)


def _text(notes: Path) -> str:
    try:
        return notes.read_text()
    except (OSError, UnicodeDecodeError) as problem:
        raise UserError(f"The notes in {notes} cannot be read.", details=str(problem)) from problem


def make_release(image: Path, folder: Path, making: Making, store: Store, report: Report, *, deltas: int) -> None:
    """Prepare a release in the new `folder`, with deltas against that many versions that `store` shows, if any."""
    if folder.exists():
        raise UserError(f"{folder} is there already.", resolution="Name a folder that is not there yet.")
    shown = read_shown(store) if store.read(TIMESTAMP_FILE) is not None else None
    version = read_manifest(image).version
    cache = places().cache / "payloads"
    cache.mkdir(parents=True, exist_ok=True)
    with report.step("Payloads") as step, older_parts(store, shown, version, deltas, cache) as older:
        before = sbom_before(store, shown, version) if shown else None
        maker = PayloadMaker(cache, image / PARTS[PartName.USR], older, step)
        release = prepare_image(image, folder, making, before=before, maker=maker)
        step.note(summary(release))


def summary(release: Release) -> str:
    """`92.0 MB in full, the smallest delta 0.7 MB`."""
    sizes = {kind: [each.size for each in release.payloads if each.kind is kind] for kind in PayloadKind}
    least = f", the smallest delta {min(sizes[PayloadKind.DELTA]) / 1e6:.1f} MB" if sizes[PayloadKind.DELTA] else ""
    return f"{sum(sizes[PayloadKind.FULL]) / 1e6:.1f} MB in full{least}"


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
    made = ImageVersion.parse(manifest.version).begins
    verity = verity_of(image)
    return Facts(manifest.version, made, making.kubernetes, manifest.kernel, verity, making.minimum)


def sbom_before(store: Store, shown: Shown, version: str) -> Sbom | None:
    """The bill of materials of the newest published version of the same minor before `version`, if it has one."""
    older = versions_before(shown, version)
    path = f"{folder_of(older[0])}/{SBOM}" if older else ""
    text = target_bytes(store, shown, path) if path else None
    return read_sbom(text) if text is not None else None
