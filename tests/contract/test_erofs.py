"""The reader of erofs images finds every file where mkfs.erofs put it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from bedplate.cli.components import CHECKOUT
from bedplate.cli.context import places
from bedplate.host.run import SystemRunner
from bedplate.image.recipe import tools_lock
from bedplate.image.tools import Tools, tools_place
from bedplate.image.trees import tree_damage
from bedplate.wire.erofs import Extent, read_files

RECIPE = CHECKOUT / "os"
SIZES = (0, 1, 31, 4000, 4095, 4096, 4097, 8192, 12_345, 70_000)
"""Bytes of files: empty, with a tail only, whole blocks, and blocks with a tail."""


@pytest.fixture(scope="module")
def tools() -> Tools:
    """The tools tree that images are made with, whose mkfs.erofs is the one that counts; it takes a minute to make."""
    tree = tools_place(RECIPE, tools_lock(RECIPE), places())
    if not tree.is_dir() or tree_damage(tree):
        pytest.skip("there is no tools tree in the cache yet: `bedplate image build` makes it")
    return Tools(tree, SystemRunner())


def content() -> Mapping[str, bytes]:
    lot = random.Random(7)
    files = {f"sizes/{size}": lot.randbytes(size) for size in SIZES}
    files |= {f"many/file-with-a-rather-long-name-{n:04}": b"%d" % n for n in range(500)}
    files |= {"deep/" * 12 + "end": b"here", "name with spaces, and \u00fcml\u00e4uts": b"x" * 5000}
    return files


def lay_out(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "link").symlink_to("elsewhere")
    (folder / "empty").mkdir()


@pytest.mark.parametrize(
    "options",
    [["--all-root", "-T0", "-x-1"], ["-Enoinline_data"], ["-Eforce-inode-extended"]],
    ids=["as images are made", "without inline tails", "long inodes"],
)
def test_every_file_is_found_with_its_bytes(tools: Tools, tmp_path: Path, options: list[str]) -> None:
    files = content()
    lay_out(tmp_path / "tree", files)
    (tmp_path / "tree/hard").hardlink_to(tmp_path / "tree/sizes/12345")
    tools.run(tmp_path, ["mkfs.erofs", "--quiet", *options, "/mnt/image", "/mnt/tree"])
    image = (tmp_path / "image").read_bytes()

    def of(extent: Extent) -> bytes:
        return image[extent.offset : extent.end]

    found = {each.path: of(each.blocks) + of(each.tail) for each in read_files(memoryview(image))}
    assert found == {**files, "hard": files["sizes/12345"]}


@pytest.mark.parametrize("options", [["-zlz4"], ["-zzstd", "-C65536"], ["--chunksize=4096"]], ids=str)
def test_what_is_not_flat_is_refused_and_never_read_wrongly(tools: Tools, tmp_path: Path, options: list[str]) -> None:
    lay_out(tmp_path / "tree", {"a": b"a" * 100_000})
    tools.run(tmp_path, ["mkfs.erofs", "--quiet", *options, "/mnt/image", "/mnt/tree"])
    with pytest.raises(ValueError, match=r"features|layout"):
        read_files(memoryview((tmp_path / "image").read_bytes()))
