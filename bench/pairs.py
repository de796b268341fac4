"""The images that deltas are measured on: that of this checkout, and older ones that differ in one thing each.

`bench/pairs` has what they differ in: packages of an older lock, components of an older go.mod.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bedplate.cli.components import CHECKOUT
from bedplate.cli.context import places
from bedplate.cli.image import have_image, recipe_version
from bedplate.host.files import write_atomically
from bedplate.image.build import Image
from bedplate.image.lock import PACKAGES, Lock, Locked, read_lock, write_lock
from bedplate.model.errors import UserError

PAIRS = Path(__file__).parent / "pairs"
KERNEL, KUBERNETES = "kernel hop", "kubernetes hop"
OLDER: Mapping[str, str] = {KERNEL: "kernel-hop.lock", KUBERNETES: "kubernetes-hop"}
"""What makes the older image of each pair: a lock with packages as they were, or a folder of components."""
LAST: tuple[Collection[str], ...] = ((KERNEL,), (KUBERNETES,), (KERNEL, KUBERNETES), (KERNEL, KUBERNETES))
"""What the last four releases have older than the new one, the newest first; each has a version of its own, too."""
_KERNEL_VERSION = re.compile(r"\d+\.\d+\.\d+\+deb\d+")


@dataclass(frozen=True, slots=True)
class Series:
    """A release, and the four before it."""

    new: Image
    older: tuple[Image, ...]

    @property
    def pairs(self) -> Mapping[str, Image]:
        """The older image that differs in one thing only, by the name of the pair."""
        singles = zip(LAST, self.older, strict=True)
        return {name: image for (name, *more), image in singles if not more}


def have_series() -> Series:
    """The images, each built where the cache lacks it."""
    older = tuple(have_older(parts, days) for days, parts in enumerate(LAST, start=1))
    return Series(have_image(CHECKOUT), older)


def have_older(parts: Collection[str], days: int) -> Image:
    """The image of this checkout with older `parts`, and a version of so many days earlier."""
    version = recipe_version(CHECKOUT)
    earlier = dataclasses.replace(version, day=version.day - timedelta(days=days))
    cache = places().cache / "bench"
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".root.") as root:
        make_root(CHECKOUT, Path(root), parts)
        return have_image(Path(root), version=earlier)


def make_root(checkout: Path, root: Path, parts: Collection[str]) -> None:
    """Fill `root` with what an image of the checkout is made of, with some of it as it was."""
    for folder in ("os", "components"):
        shutil.copytree(checkout / folder, root / folder, symlinks=True)
    shutil.copyfile(checkout / "uv.lock", root / "uv.lock")
    if KERNEL in parts:
        lock = root / "os" / PACKAGES
        older = read_lock((PAIRS / OLDER[KERNEL]).read_text(), OLDER[KERNEL])
        write_atomically(lock, write_lock(with_older(read_lock(lock.read_text(), PACKAGES), older)).encode())
    if KUBERNETES in parts:
        shutil.copytree(PAIRS / OLDER[KUBERNETES], root / "components", dirs_exist_ok=True)


def with_older(lock: Lock, older: Lock) -> Lock:
    """The lock with those packages as they were. Raises `UserError` for one that it does not have, or has so now."""
    new = {family(package): package for package in lock.packages}
    old = {family(package): package for package in older.packages}
    wrong = sorted(name for name, package in old.items() if new.get(name) in {None, package})
    if wrong:
        raise UserError(
            "The older lock of bench/pairs does not fit os/packages.lock.",
            details="\n".join(f"{name} is not there now, or is the same" for name in wrong),
            resolution=f"Write bench/pairs/{OLDER[KERNEL]} anew, of the lock as it was one kernel earlier.",
        )
    return Lock(lock.suites, tuple(sorted({**new, **old}.values())))


def family(package: Locked) -> str:
    """The name without the version that Debian puts into the names of kernels."""
    return _KERNEL_VERSION.sub("VERSION", package.name)
