"""From recipe and programs to a node image: what is asked for, what is in the cache, and the steps in between."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bedplate.host.files import folder_in_one_step, remove_leftovers
from bedplate.host.locks import in_turn
from bedplate.host.places import Places
from bedplate.host.report import Report
from bedplate.host.run import Runner
from bedplate.image.disk import Verity, fingerprint, make_disk, make_erofs, make_uki, make_verity
from bedplate.image.keys import SigningPair, development_pair, own_pair
from bedplate.image.manifest import (
    Manifest,
    Partition,
    list_executables,
    list_files,
    list_packages,
    read_manifest,
    write_manifest,
)
from bedplate.image.packages import package_tree
from bedplate.image.stage import Sources, Staged, stage
from bedplate.image.tools import make_tools
from bedplate.image.usr import parse_rules
from bedplate.model.versions import ImageVersion

MAKERS = Path(__file__).parent
PARTITIONS = {
    "esp": "uki.efi",
    "usr-a": "usr.erofs",
    "usr-a-verity": "usr.verity",
    "usr-a-verity-sig": "usr.verity-sig",
}
KEPT = {"disk.raw", "db.crt", "manifest.json", "uki.efi", "usr.erofs", "usr.verity", "usr.verity-sig", "initrd.zst"}


@dataclass(frozen=True, slots=True)
class ImageOrder:
    """What to build: the recipe's folder, programs by tool name, the version, the keys and where Debian comes from.

    `keys` is the folder of the user's own pair; without it, the development pair signs.
    """

    recipe: Path
    programs: Mapping[str, Path]
    version: ImageVersion
    mirror: str
    keys: Path | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """A finished image: `disk` is what a machine boots, `certificate` what its firmware has to trust.

    `tools` is the tree of build tools that it was made with.
    """

    folder: Path
    manifest: Manifest
    tools: Path

    @property
    def disk(self) -> Path:
        return self.folder / "disk.raw"

    @property
    def certificate(self) -> Path:
        return self.folder / "db.crt"


def build_image(order: ImageOrder, *, places: Places, runner: Runner, report: Report) -> Image:
    """The image of the order, built where the cache lacks it. Two at once wait for each other."""
    with in_turn(places.cache / "locks/image", doing="building an image", waiting=report.step):
        tools = make_tools(
            order.recipe / "packages-tools.txt", places=places, mirror=order.mirror, runner=runner, report=report
        )
        pair = own_pair(order.keys) if order.keys else development_pair(places.state / "keys/development", tools)
        packages = package_tree(order.recipe, tools=tools, places=places, mirror=order.mirror, report=report)
        folder = places.cache / "images" / order_key(order, pair, packages)
        if folder.is_dir():
            report.skipped("Image", "unchanged")
            return Image(folder, read_manifest(folder), tools.tree)
        remove_leftovers(folder)
        with report.step("Image") as step, folder_in_one_step(folder) as scratch:
            version = str(order.version)
            rules = parse_rules((order.recipe / "usr.toml").read_bytes())
            step.note("files of /usr")
            root = scratch / "root"
            staged = stage(Sources(packages, order.recipe, order.programs), rules, root, tools=tools, version=version)
            step.note("erofs and verity")
            make_erofs(scratch, tools=tools, version=version)
            verity = make_verity(scratch, pair, tools=tools)
            step.note("kernel and initrd")
            kernel = packages / "usr/lib/modules" / staged.kernel / "vmlinuz"
            kernel = kernel if kernel.exists() else packages / f"boot/vmlinuz-{staged.kernel}"
            make_uki(staged, order.recipe, scratch, kernel=kernel, verity=verity, pair=pair, tools=tools)
            step.note("disk")
            make_disk(order.recipe, scratch, verity, tools=tools, version=version)
            write_manifest(scratch, describe(scratch, staged, packages, order, verity))
            clear(scratch)
    return Image(folder, read_manifest(folder), tools.tree)


def describe(folder: Path, staged: Staged, packages: Path, order: ImageOrder, verity: Verity) -> Manifest:
    files = list_files(staged.root)
    return Manifest(
        version=str(order.version),
        kernel=staged.kernel,
        root_hash=verity.root_hash,
        certificate_sha256=fingerprint(folder / "db.crt"),
        command_line=(folder / "cmdline").read_text(),
        debug=False,
        partitions=tuple(Partition(label, (folder / name).stat().st_size) for label, name in PARTITIONS.items()),
        packages=list_packages(packages, files),
        executables=list_executables(staged, files),
        units={target: tuple(units) for target, units in staged.rules.enable.items()},
        files=files,
    )


def clear(folder: Path) -> None:
    """Remove what was needed on the way only."""
    shutil.rmtree(folder / "root")
    for path in folder.iterdir():
        if path.name not in KEPT:
            path.unlink()


def order_key(order: ImageOrder, pair: SigningPair, packages: Path) -> str:
    """The name of the order's place in the cache: a digest of everything that the image is a function of."""
    summary = hashlib.sha256()
    for part in (str(order.version), packages.name):
        summary.update(f"{part}\0".encode())
    for name, path in sorted(order.programs.items()):
        summary.update(f"{name}\0".encode() + _digest(path))
    for path in [pair.certificate, *_files(order.recipe), *sorted(MAKERS.glob("*.py"))]:
        summary.update(f"{path.name}\0".encode() + _digest(path))
    return summary.hexdigest()[:16]


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _digest(path: Path) -> bytes:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()
