"""A version ready to be published: its manifest and the files that it consists of, in one folder, not signed yet.

Making payloads takes minutes and no key; publishing takes keys and no time. So the two may happen on two machines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from bedplate.host.files import folder_in_one_step
from bedplate.model.errors import UserError
from bedplate.wire.release import Part, PartName, Payload, Release, Verity, decode, encode, folder_of

MANIFEST = "manifest.json"


class Maker(Protocol):
    """Makes payloads of parts."""

    def describe(self, source: Path) -> Part:
        """The digests of a part."""
        ...

    def payloads(self, name: PartName, source: Path, folder: Path, version: str) -> Sequence[Payload]:
        """Write the payloads of a part into `folder`, each under the last name of its path; one of them is full."""
        ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What a release says of its image besides the parts."""

    version: str
    made: datetime
    kubernetes: str
    kernel: str
    verity: Verity
    minimum: str = ""


def prepare(
    folder: Path, facts: Facts, parts: Mapping[PartName, Path], papers: Mapping[str, bytes], maker: Maker
) -> Release:
    """Fill `folder` in one step. `papers` are what goes with the version: SBOM, notes, changes, by file name."""
    with folder_in_one_step(folder) as scratch:
        made = [each for name, path in parts.items() for each in maker.payloads(name, path, scratch, facts.version)]
        release = Release(
            version=facts.version,
            made=facts.made,
            kubernetes=facts.kubernetes,
            kernel=facts.kernel,
            usr=maker.describe(parts[PartName.USR]),
            uki=maker.describe(parts[PartName.UKI]),
            verity=facts.verity,
            payloads=tuple(made),
            minimum=facts.minimum,
        )
        for name, text in papers.items():
            (scratch / name).write_bytes(text)
        (scratch / MANIFEST).write_bytes(encode(release))
    return release


def is_prepared(folder: Path) -> bool:
    """Whether the folder is one of these; an image has a manifest too, but no payloads."""
    return (folder / MANIFEST).is_file() and any(folder.glob("*.zst"))


def read_prepared(folder: Path) -> tuple[Release, dict[str, Path]]:
    """The release and its files by target path. Raises `UserError` when there is none."""
    if not is_prepared(folder):
        raise UserError(f"{folder} holds no release.", resolution="Name a folder with manifest.json and payloads.")
    release = decode((folder / MANIFEST).read_bytes(), Release)
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != MANIFEST)
    return release, {f"{folder_of(release.version)}/{path.name}": path for path in files}
