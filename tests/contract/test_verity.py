"""The hash tree is that of veritysetup, bit for bit."""

from __future__ import annotations

import random
import uuid
from pathlib import Path

import pytest

from bedplate.host.run import SystemRunner
from bedplate.model.reading import InMemory
from bedplate.node.slots.verity import PIECE, make_tree
from bedplate.wire.verity import BLOCK, Superblock, read_superblock

IDENTITY = uuid.UUID("7b1a4e0c-5f1d-4c5e-9d55-0f6f2c0b7ed1")


@pytest.mark.parametrize("salt", [bytes(range(32)), b"", b"\x01" * 256], ids=["32", "none", "256"])
@pytest.mark.parametrize("blocks", [1, 2, 127, 128, 129, PIECE // BLOCK + 1, 128 * 128 + 1])
def test_root_and_tree_are_the_same(blocks: int, salt: bytes, tmp_path: Path) -> None:
    data = random.Random(blocks).randbytes(blocks * BLOCK)
    (tmp_path / "data").write_bytes(data)
    words = [f"--salt={salt.hex() or '-'}", f"--uuid={IDENTITY}", f"--root-hash-file={tmp_path / 'root'}"]
    SystemRunner().run(["veritysetup", "format", tmp_path / "data", tmp_path / "tree", *words])
    tree = make_tree(InMemory(data), len(data), salt=salt, identity=IDENTITY)
    assert tree.root_hash == (tmp_path / "root").read_text()
    assert tree.image == (tmp_path / "tree").read_bytes()
    assert read_superblock(InMemory(tree.image)) == Superblock(len(data), salt, IDENTITY)


@pytest.mark.parametrize("size", [0, -BLOCK, BLOCK + 1, 3 * BLOCK])
def test_only_whole_blocks_that_are_there_have_a_tree(size: int) -> None:
    with pytest.raises(ValueError, match="are not whole blocks"):
        make_tree(InMemory(bytes(2 * BLOCK)), size, salt=b"", identity=IDENTITY)


@pytest.mark.parametrize("change", [b"verify", b"verity\0\0\2"])
def test_a_device_without_a_superblock_of_ours_has_none(change: bytes) -> None:
    tree = make_tree(InMemory(bytes(BLOCK)), BLOCK, salt=b"", identity=IDENTITY).image
    assert read_superblock(InMemory(change + tree[len(change) :])) is None
    assert read_superblock(InMemory(b"")) is None
