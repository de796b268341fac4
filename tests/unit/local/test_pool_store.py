"""Pools are kept whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bedplate.local.pools.store import find_pool, read_pools, remove_pool, replace_pool, write_pool
from bedplate.model.errors import OurError, UserError
from bedplate.model.pools import NodePool, PoolMode

SYSTEM = NodePool(
    name="system",
    node_image_version="Bedplate-1.37-amd64-202611.24.0",
    orchestrator_version="1.37.2",
    count=2,
    mode=PoolMode.SYSTEM,
    node_labels={"tier": "a"},
    node_taints=("dedicated=gpu:NoSchedule",),
)
BURST = msgspec.structs.replace(SYSTEM, name="burst", mode=PoolMode.USER)


def test_where_nothing_was_kept_there_are_no_pools(tmp_path: Path) -> None:
    assert read_pools(tmp_path / "pools") == ()


def test_pools_are_read_as_they_were_written_and_by_name(tmp_path: Path) -> None:
    write_pool(tmp_path, SYSTEM)
    write_pool(tmp_path, BURST)
    assert read_pools(tmp_path) == (BURST, SYSTEM)
    assert find_pool(tmp_path, "system") == SYSTEM


def test_a_pool_that_is_written_again_is_changed(tmp_path: Path) -> None:
    write_pool(tmp_path, SYSTEM)
    larger = msgspec.structs.replace(SYSTEM, count=3)
    write_pool(tmp_path, larger)
    assert read_pools(tmp_path) == (larger,)


def test_a_pool_that_is_not_sound_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one thing to correct"):
        write_pool(tmp_path, msgspec.structs.replace(SYSTEM, count=0))
    assert list(tmp_path.iterdir()) == []


def test_what_is_being_written_is_no_pool_yet(tmp_path: Path) -> None:
    (tmp_path / ".system.json.x1").write_bytes(b"half")
    assert read_pools(tmp_path) == ()


def test_a_removed_pool_is_gone_and_the_others_stay(tmp_path: Path) -> None:
    write_pool(tmp_path, SYSTEM)
    write_pool(tmp_path, BURST)
    remove_pool(tmp_path, "burst")
    assert read_pools(tmp_path) == (SYSTEM,)


def test_a_change_can_be_taken_back(tmp_path: Path) -> None:
    write_pool(tmp_path, SYSTEM)
    larger = msgspec.structs.replace(SYSTEM, count=3)
    take_back = replace_pool(tmp_path, larger)
    assert read_pools(tmp_path) == (larger,)
    take_back()
    assert read_pools(tmp_path) == (SYSTEM,)


def test_a_new_pool_can_be_taken_back(tmp_path: Path) -> None:
    write_pool(tmp_path, SYSTEM)
    replace_pool(tmp_path, BURST)()
    assert read_pools(tmp_path) == (SYSTEM,)


def test_an_unknown_pool_is_named_with_how_to_list_them(tmp_path: Path) -> None:
    for call in (find_pool, remove_pool):
        with pytest.raises(UserError, match="There is no node pool ghost") as caught:
            call(tmp_path, "ghost")
        assert "bedplate nodepool list" in caught.value.resolution


def test_a_file_that_is_no_pool_is_named(tmp_path: Path) -> None:
    (tmp_path / "system.json").write_bytes(b'{"name": "system"')
    with pytest.raises(OurError, match=str(tmp_path / "system.json")):
        read_pools(tmp_path)
