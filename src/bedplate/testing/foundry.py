"""A release repository in a folder, with its keys, for the small versions of `bedplate.testing.slots`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from bedplate.release.payload.make import Base, make_usr_delta
from bedplate.release.publish.bundle import make_bundle, plan_bundle
from bedplate.release.publish.changes import begin, promote, publish, withdraw
from bedplate.release.publish.edit import Content, Edit, carry_out
from bedplate.release.publish.keys import Keyring, make_key, make_keys
from bedplate.release.publish.rotation import rotate
from bedplate.release.publish.shown import newest_root, read_shown
from bedplate.release.publish.store import FolderStore
from bedplate.testing.served import packed_payload
from bedplate.testing.slots import Version
from bedplate.wire.release import PartName, Payload, folder_of

STABLE = "1.37/stable"


@dataclass
class Foundry:
    """Publishes as of `now`, which a test moves on."""

    folder: Path
    now: datetime
    store: FolderStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = FolderStore(self.folder / "repository")
        make_keys(self.folder / "keys")
        carry_out(begin(self.keys, self.now).seal(self.keys), self.store)

    @property
    def keys(self) -> Keyring:
        return Keyring([self.folder / "keys"])

    @property
    def root(self) -> bytes:
        """The root metadata that an image made now would carry."""
        return newest_root(self.store)

    def do(self, change: Callable[[Edit], object]) -> None:
        edit = Edit(read_shown(self.store), self.now, self.keys.days)
        change(edit)
        carry_out(edit.seal(self.keys), self.store)

    def publish(self, version: Version, *, bases: tuple[Version, ...] = (), minimum: str = "") -> None:
        """A version with full payloads, deltas of /usr against `bases`, and the channel pointed to it."""
        data = {PartName.USR: version.usr, PartName.UKI: version.uki}
        packed = [packed_payload(each, data[each.part]) for each in version.release.payloads]
        packed += [self._delta(version, base) for base in bases]
        payloads = tuple(payload for payload, _ in packed)
        release = msgspec.structs.replace(version.release, payloads=payloads, minimum=minimum)
        files: dict[str, Content] = {payload.path: content for payload, content in packed}
        self.do(lambda edit: publish(edit, release, files))
        self.do(lambda edit: promote(edit, STABLE, version.name))

    def withdraw(self, version: Version, reason: str) -> None:
        self.do(lambda edit: withdraw(edit, version.name, reason))

    def exchange_key(self, role: str) -> None:
        """A new key for a role in the place of its first one."""
        holder = read_shown(self.store).root.signed.roles[role]
        fresh = make_key(self.folder / "keys", role).key()
        self.do(lambda edit: rotate(edit, role, add=[fresh], remove=[holder.keyids[0]]))

    def bundle(self, file: Path, *versions: Version, days: int = 90) -> None:
        edit = Edit(read_shown(self.store), self.now, self.keys.days)
        names, until = [each.name for each in versions], self.now + timedelta(days=days)
        plan_bundle(edit, names, until)
        make_bundle(edit, names, until, keyring=self.keys, store=self.store, file=file)

    def _delta(self, version: Version, base: Version) -> tuple[Payload, bytes]:
        old, new, target = (self.folder / name for name in ("old", "new", "made"))
        old.write_bytes(base.usr)
        new.write_bytes(version.usr)
        path = f"{folder_of(version.name)}/usr.from-{base.name}.delta"
        return make_usr_delta(Base(base.name, old), new, target, path=path), target.read_bytes()
