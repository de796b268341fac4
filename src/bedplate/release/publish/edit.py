"""A change of a repository: first what is to change, with reasons, then signed, then written.

Nothing that is shown is written over, except the timestamp: every file has its version or its digest in its name. So
until the timestamp takes its name everybody sees the old state, whole, and from then on the new one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from securesystemslib.signer import Signer
from tuf.api.metadata import MetaFile, Role, Root, Signed, Snapshot, TargetFile, Targets

from bedplate.host.files import file_sha256
from bedplate.model.digests import Sha256, sha256
from bedplate.model.errors import MachineError
from bedplate.model.plans import Action, Verb
from bedplate.release.publish.keys import Keyring
from bedplate.release.publish.roles import OF_THE_ROOT, ROOT, RULES, SNAPSHOT, TARGETS, TIMESTAMP
from bedplate.release.publish.shown import Shown
from bedplate.release.publish.signers import signed
from bedplate.release.publish.store import Store
from bedplate.release.trust.layout import (
    CHANNELS,
    MADE,
    RELEASES,
    ROOT_VERSION,
    TIMESTAMP_FILE,
    metadata_file,
    target_file,
)

Content = bytes | Path
CLOCKS_DIFFER = timedelta(minutes=5)
"""So far apart may the clocks of two publishers be."""


@dataclass(frozen=True, slots=True)
class Write:
    """One file of the repository that takes its name."""

    path: str
    content: Content


class Edit:
    """Collects what is to change in what is shown now. `actions` is the plan, in the order of the writes."""

    def __init__(self, shown: Shown, now: datetime, days: Mapping[str, int]) -> None:
        self.shown, self.now = shown, now.replace(microsecond=0)
        self._days = {**{role: rule.days for role, rule in RULES.items()}, **days}
        self._roles: dict[str, tuple[Targets, str]] = {}
        self._files: dict[str, tuple[str, Content, str]] = {}
        self._root: tuple[Root, str] | None = None
        self._stamp_reason = ""
        self._snapshot_until = now
        self._stamp_version = shown.timestamp.version + 1

    def expiry(self, role: str) -> datetime:
        return self.now + timedelta(days=self._days.get(role, self._days[RELEASES]))

    def role(self, name: str, why: str) -> Targets:
        """The next version of a targets role, to be changed; a new one where there is none of that name."""
        if name not in self._roles:
            before = self.shown.roles.get(name)
            after = deepcopy(before) if before is not None else Targets(expires=self.expiry(name))
            after.version = before.version + 1 if before is not None else 1
            after.expires = self.expiry(name)
            self._roles[name] = (after, why)
        return self._roles[name][0]

    def root(self, why: str) -> Root:
        """The next version of the root, to be changed."""
        if self._root is None:
            root = deepcopy(self.shown.root.signed)
            root.version += 1
            root.expires = self.expiry(ROOT)
            self._root = (root, why)
        return self._root[0]

    def target(self, role: str, path: str, content: Content, why: str) -> None:
        """Make `content` the target `path` of a role; a file is read when it is copied, so it has to stay."""
        target = _target(path, content)
        self.role(role, why).targets[path] = target
        self._files[target_file(path, Sha256(target.hashes["sha256"]))] = (path, content, why)

    def renew(self, why: str, *, snapshot_until: datetime | None = None) -> None:
        """Sign snapshot and timestamp anew, even though nothing else changes."""
        self._stamp_reason = why
        self._snapshot_until = snapshot_until or self.now

    @property
    def actions(self) -> tuple[Action, ...]:
        lines = [(f"Write {path}{_size(content)}", why) for path, content, why in self._files.values()]
        lines += [(f"Sign {name} version {role.version}", why) for name, (role, why) in self._ordered()]
        root = [(f"Sign {ROOT} version {self._root[0].version}", self._root[1])] if self._root else []
        if self.stamps:
            because = self._stamp_reason or "it says which metadata belong together"
            lines.append((f"Sign {SNAPSHOT} version {self.shown.snapshot.version + 1}", because))
            lines.append((f"Sign {TIMESTAMP} version {self._stamp_version}", "from here on it is shown"))
        lines = [*lines, *root] if self.shown.root.signed.version else [*root, *lines]
        return tuple(Action(name, Verb.RUN, why) for name, why in lines)

    @property
    def stamps(self) -> bool:
        """Whether snapshot and timestamp have to change: a root alone is found by its own number."""
        return bool(self._roles or self._stamp_reason)

    def seal(self, keyring: Keyring) -> tuple[Write, ...]:
        """Sign everything; the writes in their order.

        When keys of snapshot, timestamp or targets change, what they sign is signed by the old key and the new one, and
        the root goes last: it is in force at once, and both before and after it everything shown has to be valid.
        """
        self.require(keyring)
        writes = [Write(path, content) for path, (_, content, _) in self._files.items()]
        snapshot = deepcopy(self.shown.snapshot)
        for name, (role, _) in self._ordered():
            data = signed(role, self._signers(name, keyring))
            writes.append(Write(metadata_file(name, role.version), data))
            snapshot.meta[f"{name}.json"] = _meta(role, data)
        if self.stamps:
            writes += self._stamp(snapshot, keyring)
        if self._root is not None:
            root = self._root[0]
            sealed = Write(metadata_file(ROOT, root.version), signed(root, self._signers(ROOT, keyring)))
            writes = [*writes, sealed] if self._carried_over(keyring) else [sealed, *writes]
        return tuple(writes)

    def require(self, keyring: Keyring) -> None:
        """Raise what is known to stand against `seal` before anything signs: a clock that is behind, too few keys."""
        self._require_a_sane_clock()
        names = [*(name for name, _ in self._ordered()), *((SNAPSHOT, TIMESTAMP) if self.stamps else ())]
        needed = [(name, self._holders(name)[0]) for name in names]
        needed += [(ROOT, holder) for holder in reversed(self._holders(ROOT))] if self._root is not None else []
        for name, holder in needed:
            keyring.require(name, holder.keyids, holder.threshold)

    def stamp_for_a_bundle(self, expires: datetime, marks: Mapping[str, object], keyring: Keyring) -> bytes:
        """A timestamp over the snapshot that `seal` makes, for a bundle alone. Call it after `seal`."""
        stamp = deepcopy(self.shown.timestamp)
        stamp.version = self.shown.timestamp.version + 1
        stamp.expires, stamp.snapshot_meta = expires, self._snapshot_meta
        stamp.unrecognized_fields |= {**self._facts(), **marks}
        return signed(stamp, self._signers(TIMESTAMP, keyring))

    def leave_a_version_to_a_bundle(self) -> None:
        """Sign the timestamp with one version more than the next, which is the bundle's."""
        self._stamp_version = self.shown.timestamp.version + 2

    def _stamp(self, snapshot: Snapshot, keyring: Keyring) -> list[Write]:
        snapshot.version += 1
        snapshot.expires = max(self.expiry(SNAPSHOT), self._snapshot_until)
        data = signed(snapshot, self._signers(SNAPSHOT, keyring))
        self._snapshot_meta = _meta(snapshot, data)
        stamp = deepcopy(self.shown.timestamp)
        stamp.version = self._stamp_version
        stamp.expires, stamp.snapshot_meta = self.expiry(TIMESTAMP), self._snapshot_meta
        stamp.unrecognized_fields |= self._facts()
        return [
            Write(metadata_file(SNAPSHOT, snapshot.version), data),
            Write(TIMESTAMP_FILE, signed(stamp, self._signers(TIMESTAMP, keyring))),
        ]

    def _facts(self) -> Mapping[str, object]:
        root = self._root[0] if self._root is not None else self.shown.root.signed
        return {MADE: _written(self.now), ROOT_VERSION: root.version}

    def _ordered(self) -> list[tuple[str, tuple[Targets, str]]]:
        """Those who are delegated to before those who delegate."""
        last = {CHANNELS: 1, RELEASES: 2, TARGETS: 3}
        return sorted(self._roles.items(), key=lambda item: (last.get(item[0], 0), item[0]))

    def _holders(self, name: str) -> list[Role]:
        """Who may sign as `name`: as the metadata to come say, and for roles of the root as it says now."""
        if name in OF_THE_ROOT:
            new = self._root[0] if self._root is not None else self.shown.root.signed
            old = self.shown.root.signed
            return [new.roles[name]] if not old.version else [new.roles[name], old.roles[name]]
        parent = TARGETS if name in (RELEASES, CHANNELS) else RELEASES
        delegator = self._roles[parent][0] if parent in self._roles else self.shown.roles[parent]
        return [delegator.get_delegated_role(name)]

    def _signers(self, name: str, keyring: Keyring) -> list[Signer]:
        """All here that may sign as `name`; `require` has seen that they are enough."""
        return [signer for holder in self._holders(name) for signer in keyring.signers(holder.keyids)]

    def _require_a_sane_clock(self) -> None:
        """A new timestamp key begins anew: whoever had the old one may have signed any time."""
        holders = self._holders(TIMESTAMP)
        changes = any(set(holders[0].keyids) != set(old.keyids) for old in holders[1:])
        if not changes and self.now < self.shown.made - CLOCKS_DIFFER:
            raise MachineError(
                "This machine's clock is behind the last signature.",
                details=f"It says {self.now:%Y-%m-%d %H:%M} UTC, the signature {self.shown.made:%Y-%m-%d %H:%M}.",
                resolution="Set the clock. If the last one is wrong: `bedplate release rotate timestamp`.",
            )

    def _carried_over(self, keyring: Keyring) -> bool:
        """Whether the old keys can still sign what the new root will be asked about; a lost one cannot.

        Before there was a root nothing was shown, and the timestamp is what ends the beginning.
        """
        if not self.shown.root.signed.version:
            return False
        holders = [self._holders(name) for name in OF_THE_ROOT if name != ROOT]
        return all(keyring.count(old.keyids) >= old.threshold for _, *olds in holders for old in olds)


def carry_out(writes: Sequence[Write], store: Store) -> None:
    """Write in this order. Everything before a file that comes into force is safe on the disk before it is."""
    for write in writes:
        comes_into_force = write.path == TIMESTAMP_FILE or write.path.endswith(f".{ROOT}.json")
        if comes_into_force:
            store.settle()
        if isinstance(write.content, Path):
            if store.measure(write.path) != (write.content.stat().st_size, file_sha256(write.content)):
                store.copy(write.path, write.content)
        else:
            store.write(write.path, write.content)
    store.settle()


def _meta(role: Signed, data: bytes) -> MetaFile:
    return MetaFile(role.version, len(data), {"sha256": sha256(data)})


def _target(path: str, content: Content) -> TargetFile:
    if isinstance(content, Path):
        return TargetFile(content.stat().st_size, {"sha256": file_sha256(content)}, path)
    return TargetFile(len(content), {"sha256": sha256(content)}, path)


def _size(content: Content) -> str:
    return f" ({content.stat().st_size / 1e6:.1f} MB)" if isinstance(content, Path) else ""


def _written(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
