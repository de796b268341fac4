"""The root of trust in an image: the development one is begun once, one of the user's is looked at."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bedplate.image.anchor import PLACE, bake, development_root, known_root, own_root
from bedplate.image.order import ImageOrder, order_key
from bedplate.model.errors import UserError
from bedplate.model.versions import ImageVersion
from bedplate.release.publish.edit import Edit, carry_out
from bedplate.release.publish.keys import Keyring
from bedplate.release.publish.renewal import refresh
from bedplate.release.publish.shown import read_shown
from bedplate.release.publish.store import FolderStore
from bedplate.testing.clock import START
from bedplate.testing.releases import VERSION


def test_the_development_root_is_made_once(tmp_path: Path) -> None:
    assert known_root(tmp_path) == b""
    root = development_root(tmp_path, START)
    assert development_root(tmp_path, START + timedelta(days=1)) == known_root(tmp_path) == root


def test_the_newest_root_is_taken(tmp_path: Path) -> None:
    first = development_root(tmp_path, START)
    keys, store = Keyring([tmp_path / "keys"]), FolderStore(tmp_path / "repository")
    edit = Edit(read_shown(store), START, keys.days)
    refresh(edit, ["root"])
    carry_out(edit.seal(keys), store)
    assert development_root(tmp_path, START) == (tmp_path / "repository/metadata/2.root.json").read_bytes() != first


def test_a_root_of_the_users_own_is_taken_as_it_is(tmp_path: Path) -> None:
    root = development_root(tmp_path, START)
    assert own_root(tmp_path / "repository/metadata/1.root.json") == root


def test_what_is_no_root_is_refused(tmp_path: Path) -> None:
    root = development_root(tmp_path, START)
    (tmp_path / "turned.json").write_bytes(root.replace(b'"threshold":2', b'"threshold":3'))
    metadata = tmp_path / "repository/metadata"
    for file in (tmp_path / "gone", tmp_path / "turned.json", tmp_path / "keys/keys.json"):
        with pytest.raises(UserError, match="is not the root of a release repository"):
            own_root(file)
    with pytest.raises(UserError, match="the metadata of timestamp"):
        own_root(metadata / "timestamp.json")


def test_an_image_with_another_root_is_another_image(tmp_path: Path) -> None:
    (tmp_path / "db.crt").touch()
    orders = [ImageOrder(tmp_path, {}, ImageVersion.parse(VERSION), "", root=root) for root in (b"", b"1", b"2")]
    assert len({order_key(order, tmp_path / "db.crt", tmp_path, tmp_path) for order in orders}) == 3


def test_the_root_lies_where_the_agent_looks_and_none_does_when_there_is_none(tmp_path: Path) -> None:
    bake(b"", tmp_path)
    assert list(tmp_path.iterdir()) == []
    bake(b"root", tmp_path)
    assert (tmp_path / PLACE).read_bytes() == b"root"
