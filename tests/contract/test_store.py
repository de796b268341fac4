"""A folder keeps a repository's files as the store in memory does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bedplate.model.digests import sha256
from bedplate.model.errors import MachineError
from bedplate.release.publish.store import FolderStore, Store
from bedplate.testing.store import MemoryStore


@pytest.fixture(params=[FolderStore, lambda _: MemoryStore()], ids=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    make: Callable[[Path], Store] = request.param
    return make(tmp_path / "repository")


def test_what_was_written_is_read(store: Store) -> None:
    store.write("metadata/timestamp.json", b"old")
    store.write("metadata/timestamp.json", b"new")
    store.settle()
    assert store.read("metadata/timestamp.json") == b"new"
    with store.open("metadata/timestamp.json") as opened:
        assert opened.read() == b"new"


def test_a_file_is_copied_whole(store: Store, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"payload" * 1000)
    store.copy("targets/a/b.zst", tmp_path / "source")
    store.settle()
    assert store.measure("targets/a/b.zst") == (7000, sha256(b"payload" * 1000))


def test_what_is_not_there_is_none(store: Store) -> None:
    assert store.read("metadata/timestamp.json") is None
    assert store.measure("metadata/timestamp.json") is None
    assert list(store.paths()) == []


def test_every_file_is_listed_in_order(store: Store) -> None:
    for path in ("targets/b", "metadata/2.root.json", "targets/a/c"):
        store.write(path, b"x")
    assert list(store.paths()) == ["metadata/2.root.json", "targets/a/c", "targets/b"]


def test_a_copy_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "repository")
    store.write("targets/a", b"before")
    with pytest.raises(FileNotFoundError):
        store.copy("targets/a", tmp_path / "gone")
    assert (store.read("targets/a"), list(store.paths())) == (b"before", ["targets/a"])


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    (tmp_path / "source").write_bytes(b"x" * 10)
    (tmp_path / ".full.part").symlink_to("/dev/full")
    with pytest.raises(MachineError, match="no space left"):
        store.copy("full", tmp_path / "source")
