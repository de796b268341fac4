"""`./dev bench image`: how long an image takes to build, and how large it is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bedplate.cli.components import CHECKOUT
from bedplate.cli.context import places, report
from bedplate.cli.image import have_image
from bedplate.host.clock import SystemClock
from bedplate.host.run import SystemRunner
from bedplate.image.build import Image
from bedplate.image.manifest import Manifest
from bedplate.image.tools import Tools
from bench.figures import Figure, at_most, median

UNCHANGED_RUNS = 3
ON_PATH = ("usr/bin/", "usr/sbin/")


def measure() -> Sequence[Figure]:
    image = have_image(CHECKOUT)
    unchanged = [_seconds() for _ in range(UNCHANGED_RUNS)]
    aside = image.folder.with_name(f"aside-{image.folder.name}")
    image.folder.rename(aside)
    try:
        built = _seconds()
    finally:
        if image.folder.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(image.folder)
    return (
        at_most("image build, components and packages cached", built, "s", 120),
        at_most("image build, nothing changed", median(unchanged), "s", 5),
        *sizes(image),
        *executables(image.manifest),
    )


def _seconds() -> float:
    clock = SystemClock()
    started = clock.monotonic()
    have_image(CHECKOUT)
    return clock.monotonic() - started


def sizes(image: Image) -> Sequence[Figure]:
    files = sum(file.size for file in image.manifest.files)
    uki = (image.folder / "uki.efi").stat().st_size
    return (
        at_most("files in /usr", files / 1e6, "MB", 420),
        at_most("UKI", uki / 1e6, "MB", 30),
        at_most("whole download: usr, verity and UKI, zstd -19", _download(image) / 1e6, "MB", 120),
    )


def _download(image: Image) -> int:
    tools = Tools(image.tools, SystemRunner())
    with tempfile.TemporaryDirectory(dir=places().cache) as scratch:
        with report().step("Compress the download"):
            for name in ("usr.erofs", "usr.verity", "uki.efi"):
                shutil.copyfile(image.folder / name, Path(scratch) / name)
                tools.run(Path(scratch), ["zstd", "--quiet", "-19", "-T0", f"/mnt/{name}", "-o", f"/mnt/{name}.zst"])
        return sum(path.stat().st_size for path in Path(scratch).glob("*.zst"))


def executables(manifest: Manifest) -> Sequence[Figure]:
    on_path = [each for each in manifest.executables if each.path.startswith(ON_PATH)]
    return (
        at_most("executables on PATH", len(on_path), "", 60),
        at_most("executables in all of /usr", len(manifest.executables), "", 120),
    )
