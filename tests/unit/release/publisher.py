"""A publisher with a repository in memory, keys in a folder and nodes that look at it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from bedplate.release.publish.changes import begin, promote, publish, withdraw
from bedplate.release.publish.edit import Edit, carry_out
from bedplate.release.publish.keys import Keyring, make_key, make_keys
from bedplate.release.publish.rotation import rotate
from bedplate.release.publish.shown import read_shown
from bedplate.release.trust.moment import LONG_AGO
from bedplate.release.trust.repository import Repository
from bedplate.testing.clock import START
from bedplate.testing.http import FakeHttp
from bedplate.testing.releases import MIRROR, VERSION, release_of
from bedplate.testing.store import MemoryStore
from bedplate.wire.release import manifest_path

STABLE = "1.37/stable"
Change = Callable[[Edit], object]


class Publisher:
    """A repository in memory with keys in a folder, and nodes that look at it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store, self.now = folder, MemoryStore(), START
        make_keys(folder / "keys")
        self.keys = Keyring([folder / "keys"])
        carry_out(begin(self.keys, self.now).seal(self.keys), self.store)

    def edit(self, change: Change) -> Edit:
        edit = Edit(read_shown(self.store), self.now, self.keys.days)
        change(edit)
        return edit

    def do(self, change: Change) -> None:
        carry_out(self.edit(change).seal(self.keys), self.store)

    def node(self, name: str = "node", *, built: datetime = LONG_AGO) -> Repository:
        http = FakeHttp(lambda url: self.store.files.get(urlsplit(url).path[1:]))
        root = self.store.files["metadata/1.root.json"]
        return Repository(root, self.folder / name, [MIRROR], http, lambda: self.now, built=built)


def publishing(version: str = VERSION, usr: bytes = b"usr" * 5000) -> Change:
    release, files = release_of(version, usr=usr)
    del files[manifest_path(version)]
    return lambda edit: publish(edit, release, files)


def promoting(version: str = VERSION, *, allow_rollback: bool = False) -> Change:
    return lambda edit: promote(edit, STABLE, version, allow_rollback=allow_rollback)


def withdrawing(version: str = VERSION, reason: str = "it eats disks") -> Change:
    return lambda edit: withdraw(edit, version, reason)


def exchanging(publisher: Publisher, role: str) -> Change:
    """A new key for a role in place of its first one."""
    held = make_key(publisher.folder / "keys", role)
    publisher.keys = Keyring([publisher.folder / "keys"])
    old = publisher.keys.of_role(role)[0].keyid
    return lambda edit: rotate(edit, role, add=[held.key()], remove=[old])
