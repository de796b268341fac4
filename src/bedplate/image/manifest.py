"""What an image holds, written beside it while it is built, so that it can be read without opening the disk."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bedplate.host.files import write_atomically
from bedplate.model.errors import MachineError

FILE = "manifest.json"


class Package(msgspec.Struct, frozen=True):
    """A Debian package of which at least one file is in /usr; `size` sums those files, in bytes."""

    name: str
    version: str
    size: int


class Executable(msgspec.Struct, frozen=True):
    """A program in /usr and why a node has it; `target` is what a link leads to."""

    path: str
    reason: str
    size: int
    target: str = ""


class File(msgspec.Struct, frozen=True):
    """A file of /usr: size in bytes and SHA-256; for a link, its target and no digest.

    `owner` is the package or the program from source that it came from, or `recipe` for our own.
    """

    path: str
    size: int
    sha256: str = ""
    target: str = ""
    owner: str = ""


class Partition(msgspec.Struct, frozen=True):
    """A partition of the disk: its size and what is written into it, in bytes."""

    label: str
    size: int
    used: int


class Manifest(msgspec.Struct, frozen=True):
    """All that `bedplate image inspect` and `diff` show. `units` are those that a boot starts, by target."""

    version: str
    kernel: str
    root_hash: str
    certificate_sha256: str
    command_line: str
    debug: bool
    partitions: tuple[Partition, ...]
    packages: tuple[Package, ...]
    executables: tuple[Executable, ...]
    units: dict[str, tuple[str, ...]]
    files: tuple[File, ...]


def read_manifest(folder: Path) -> Manifest:
    """Raises `MachineError` when there is none or it is damaged."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as problem:
        raise MachineError(
            f"{folder} is not a whole image.",
            details=str(problem),
            resolution=f"Remove {folder}; the next build makes it again.",
        ) from problem


def write_manifest(folder: Path, manifest: Manifest) -> None:
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    write_atomically(folder / FILE, text + b"\n")
