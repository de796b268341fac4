"""What an image holds, told from its manifest. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

import msgspec

from bedplate.image.manifest import Executable, Manifest, Package, Partition

ON_PATH = ("usr/bin/", "usr/sbin/")
TENTHS = 10


class Share(msgspec.Struct, frozen=True):
    """What one owner has in one tenth of /usr, in bytes."""

    owner: str
    size: int


class Tenth(msgspec.Struct, frozen=True):
    """One tenth of the bytes in /usr, the owners laid end to end, largest first."""

    tenth: int
    shares: tuple[Share, ...]


class Signatures(msgspec.Struct, frozen=True):
    """What is signed by whom: `uki` says what a check of uki.efi against the certificate found."""

    certificate_sha256: str
    root_hash: str
    uki: str


class Inspection(msgspec.Struct, frozen=True):
    """All there is to tell of an image; sizes in bytes. `owners` are packages, programs from source and our own files.

    `on_path` counts the names in usr/bin and usr/sbin, `programs` those anywhere in /usr.
    """

    version: str
    debug: bool
    kernel: str
    folder: str
    files: int
    size: int
    partitions: tuple[Partition, ...]
    signatures: Signatures
    command_line: str
    executables: tuple[Executable, ...]
    on_path: int
    programs: int
    units: dict[str, tuple[str, ...]]
    packages: tuple[Package, ...]
    owners: dict[str, int]
    tenths: tuple[Tenth, ...]


def inspect(manifest: Manifest, *, folder: str, uki: str) -> Inspection:
    """Tell of the image in `folder`; `uki` is the outcome of checking its signature."""
    owners = sizes_by_owner(manifest)
    return Inspection(
        version=manifest.version,
        debug=manifest.debug,
        kernel=manifest.kernel,
        folder=folder,
        files=len(manifest.files),
        size=sum(owners.values()),
        partitions=manifest.partitions,
        signatures=Signatures(manifest.certificate_sha256, manifest.root_hash, uki),
        command_line=manifest.command_line,
        executables=manifest.executables,
        on_path=sum(program.path.startswith(ON_PATH) for program in manifest.executables),
        programs=len(manifest.executables),
        units=manifest.units,
        packages=manifest.packages,
        owners=owners,
        tenths=tenths(owners),
    )


def sizes_by_owner(manifest: Manifest) -> dict[str, int]:
    """Bytes in /usr by owner, largest first, then by name."""
    sizes: dict[str, int] = {}
    for file in manifest.files:
        sizes[file.owner] = sizes.get(file.owner, 0) + file.size
    return dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))


def tenths(owners: Mapping[str, int]) -> tuple[Tenth, ...]:
    """Who takes up each tenth; `owners` in the order in which they are laid end to end."""
    total = sum(owners.values())
    edges = [total * n // TENTHS for n in range(TENTHS + 1)]
    spans = tuple(_spans(owners.items()))
    return tuple(
        Tenth(number, _within(spans, start, end)) for number, (start, end) in enumerate(pairwise(edges), start=1)
    )


def _spans(owners: Iterable[tuple[str, int]]) -> Iterable[tuple[str, int, int]]:
    start = 0
    for owner, size in owners:
        yield owner, start, start + size
        start += size


def _within(spans: Iterable[tuple[str, int, int]], start: int, end: int) -> tuple[Share, ...]:
    found = (Share(owner, min(last, end) - max(first, start)) for owner, first, last in spans)
    return tuple(share for share in found if share.size > 0)
