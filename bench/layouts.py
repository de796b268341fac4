"""The same /usr in the layout that is usual: an erofs image compressed by zstd."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bedplate.host.files import file_sha256, folder_in_one_step
from bedplate.host.run import Runner
from bedplate.image.build import Image
from bedplate.image.tools import Tools
from bedplate.model.digests import sha256_of_parts
from bench.own import USR

OPTIONS = ("-zzstd", "-C65536", "--all-root", "-T0", "-U00000000-0000-4000-8000-000000000000")
"""The level is the default one, 3. Its blocks of 64 KiB are what zstd needs to be better than lz4 here."""


def have_compressed(image: Image, cache: Path, runner: Runner) -> Path:
    """The image's /usr compressed, made where `cache` lacks it."""
    source = image.folder / USR
    parts = {"usr": file_sha256(source), "options": " ".join(OPTIONS), "tools": image.tools.name}
    folder = cache / sha256_of_parts(parts.items())[:32]
    if not folder.is_dir():
        with folder_in_one_step(folder) as made, tempfile.TemporaryDirectory(dir=cache, prefix=".tree.") as work:
            compress(source, made / USR, Path(work), Tools(image.tools, runner))
    return folder / USR


def compress(source: Path, target: Path, work: Path, tools: Tools) -> None:
    """Unpack the image in `work`, and pack it again."""
    (work / USR).hardlink_to(source)
    tools.run(work, ["fsck.erofs", "--extract=/mnt/tree", "--preserve", f"/mnt/{USR}"])
    tools.run(work, ["mkfs.erofs", "--quiet", *OPTIONS, "/mnt/packed", "/mnt/tree"])
    (work / "packed").rename(target)
