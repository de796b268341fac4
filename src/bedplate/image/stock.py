"""The images that were built on this machine: found again by folder or by version."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bedplate.host.places import Places
from bedplate.image.manifest import FILE, Manifest, read_manifest
from bedplate.image.tools import Tools
from bedplate.model.errors import MachineError, UserError


def find_image(wanted: str | None, places: Places) -> Path:
    """The folder of an image: a path, the name of a folder in the cache, or the youngest of a version.

    Without a wish, the youngest of all. Raises `UserError` when there is none.
    """
    if wanted and (Path(wanted) / FILE).is_file():
        return Path(wanted)
    stock = list(whole_images(places.cache / "images"))
    fits = [folder for folder, manifest in stock if wanted in {None, folder.name, manifest.version}]
    if not fits:
        known = "\n".join(f"{manifest.version}  {folder}" for folder, manifest in stock)
        raise UserError(
            f"There is no image {wanted} here." if wanted else "There is no image here yet.",
            details=known,
            resolution="Name a folder or a version, or build one: bedplate image build.",
        )
    return fits[-1]


def whole_images(folder: Path) -> Iterator[tuple[Path, Manifest]]:
    """The images in `folder`, oldest first; what another version of Bedplate wrote is passed over."""
    for file in sorted(folder.glob(f"*/{FILE}"), key=lambda path: path.stat().st_mtime):
        try:
            yield file.parent, read_manifest(file.parent)
        except MachineError:
            continue


def check_signature(folder: Path, tools: Tools) -> str:
    """What sbverify(1) says of uki.efi against the certificate beside it, in a few words."""
    if not tools.tree.is_dir():
        return "not checked: the build tools are not there"
    done = tools.run(folder, ["sbverify", "--cert", "/mnt/db.crt", "/mnt/uki.efi"], ok=(0, 1))
    return "valid" if done.code == 0 else "NOT VALID"
