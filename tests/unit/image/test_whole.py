"""An image in the cache that is not all there is found out by names and sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bedplate.image.describe import PARTITIONS
from bedplate.image.manifest import Manifest, Partition, write_manifest
from bedplate.image.whole import damage

USED = 1000


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A folder that looks like an image: each partition twice as large as what is written into it."""
    partitions = tuple(Partition(label, 2 * USED, USED) for label in PARTITIONS)
    for name in PARTITIONS.values():
        (tmp_path / name).write_bytes(bytes(USED))
    (tmp_path / "disk.raw").write_bytes(bytes(2 * USED * len(partitions)))
    for name in ("db.crt", "initrd.zst"):
        (tmp_path / name).write_bytes(b"x")
    manifest = Manifest(
        version="v",
        kernel="6.12",
        root_hash="00",
        certificate_sha256="00",
        command_line="",
        debug=False,
        partitions=partitions,
        packages=(),
        executables=(),
        units={},
        files=(),
    )
    write_manifest(tmp_path, manifest)
    return tmp_path


def test_a_whole_image_has_no_damage(image: Path) -> None:
    assert damage(image) == ""


@pytest.mark.parametrize("name", ["disk.raw", "db.crt", "initrd.zst", *PARTITIONS.values()])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [(Path.unlink, "is missing"), (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is cut short")],
)
def test_a_file_that_is_missing_or_cut_short_is_named(
    image: Path, name: str, spoil: Callable[[Path], object], words: str
) -> None:
    spoil(image / name)
    assert damage(image) == f"{name} {words}"


@pytest.mark.parametrize("text", [b"", b'{"version": "v"', b"[]"])
def test_a_manifest_that_cannot_be_read_is_damage(image: Path, text: bytes) -> None:
    (image / "manifest.json").write_bytes(text)
    assert damage(image).startswith("its manifest cannot be read")


def test_an_empty_folder_is_damage(tmp_path: Path) -> None:
    assert "manifest" in damage(tmp_path)
