"""What an image consists of, for other people's tools, and what changed since another. Pure.

The bill of materials is CycloneDX 1.6 (ECMA-424) in JSON, with package URLs (github.com/package-url/purl-spec).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from bedplate.image.manifest import Manifest
from bedplate.model.errors import PeerError
from bedplate.model.versions import SKU, ImageVersion

DISTRO = "trixie"


class Component(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is in the image; `type` and `purl` are CycloneDX's words."""

    type: str
    name: str
    version: str
    purl: str = ""


class Metadata(msgspec.Struct, frozen=True):
    component: Component


class Sbom(msgspec.Struct, frozen=True, rename="camel"):
    """The document, with neither serial number nor date: the same image has the same."""

    bom_format: str
    spec_version: str
    version: int
    metadata: Metadata
    components: tuple[Component, ...]


class Change(msgspec.Struct, frozen=True):
    """A component that differs; `old` or `new` is empty where it is not there."""

    name: str
    old: str
    new: str


class Changes(msgspec.Struct, frozen=True):
    """What a version has that `since` had not, and the other way round; `since` is empty for the first."""

    since: str
    components: tuple[Change, ...]


def sbom(manifest: Manifest, built: Mapping[str, str]) -> Sbom:
    """`built` are the programs from source, with the versions of their components."""
    architecture = ImageVersion.parse(manifest.version).architecture
    packages = [
        Component("library", each.name, each.version, _debian(each.name, each.version, architecture))
        for each in manifest.packages
    ]
    owners = {file.owner for file in manifest.files}
    programs = [Component("application", name, version) for name, version in built.items() if name in owners]
    return Sbom(
        bom_format="CycloneDX",
        spec_version="1.6",
        version=1,
        metadata=Metadata(Component("operating-system", SKU, manifest.version)),
        components=tuple(sorted([*packages, *programs], key=lambda each: (each.type, each.name))),
    )


def changes(old: Sbom | None, new: Sbom) -> Changes:
    """Every component that came, went or has another version."""
    before = {each.name: each.version for each in old.components} if old else {}
    after = {each.name: each.version for each in new.components}
    differ = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    rows = tuple(Change(name, before.get(name, ""), after.get(name, "")) for name in differ)
    return Changes(old.metadata.component.version if old else "", rows if old else ())


def write(document: Sbom | Changes) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def read_sbom(text: bytes) -> Sbom:
    try:
        return msgspec.json.decode(text, type=Sbom)
    except msgspec.MsgspecError as problem:
        raise PeerError("The bill of materials of a release cannot be read.", details=str(problem)) from problem


def _debian(name: str, version: str, architecture: str) -> str:
    return f"pkg:deb/debian/{quote(name)}@{quote(version, safe=':.~-')}?arch={architecture}&distro={DISTRO}"
