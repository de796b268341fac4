"""What a repository shows now: its metadata, read back and held against one another before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from tuf.api.exceptions import LengthOrHashMismatchError, RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from bedplate.model.errors import PeerError, UserError
from bedplate.model.versions import ImageVersion
from bedplate.release.publish.roles import ROOT, SNAPSHOT, TARGETS
from bedplate.release.publish.store import Store
from bedplate.release.trust.layout import CHANNELS, RELEASES, TIMESTAMP_FILE, metadata_file, target_file
from bedplate.release.trust.moment import made_of
from bedplate.wire.release import (
    WITHDRAWN,
    Channel,
    Document,
    Release,
    Withdrawn,
    decode,
    manifest_path,
)

REPAIR = "`bedplate release verify` names everything that is damaged."
S = TypeVar("S", Root, Snapshot, Targets, Timestamp)


@dataclass(frozen=True, slots=True)
class Shown:
    """The present metadata. `roles` are the targets roles by name: targets, releases, channels, and each version."""

    root: Metadata[Root]
    snapshot: Snapshot
    timestamp: Timestamp
    roles: Mapping[str, Targets]
    documents: Mapping[str, bytes] = field(repr=False)

    @property
    def versions(self) -> list[str]:
        """Every published version, the newest first."""
        names = [name for name in self.roles if name not in (TARGETS, RELEASES, CHANNELS)]
        return sorted(names, key=ImageVersion.parse, reverse=True)

    @property
    def made(self) -> datetime:
        try:
            return made_of(self.timestamp)
        except RepositoryError as problem:
            resolution = "Another program signed it: take its key from it with `bedplate release rotate timestamp`."
            raise PeerError(
                "The last timestamp cannot be used.", details=str(problem), resolution=resolution
            ) from problem

    @property
    def withdrawn(self) -> Withdrawn:
        return self._read(WITHDRAWN, Withdrawn) if WITHDRAWN in self.documents else Withdrawn()

    @property
    def channels(self) -> list[Channel]:
        paths = sorted(path for path in self.documents if path.startswith(f"{CHANNELS}/"))
        return [self._read(path, Channel) for path in paths]

    def channel(self, name: str) -> Channel | None:
        return next((channel for channel in self.channels if channel.name == name), None)

    def release(self, version: str) -> Release:
        self.require_published(version)
        return self._read(manifest_path(version), Release)

    def require_published(self, version: str) -> None:
        ImageVersion.parse(version)
        if version not in self.versions:
            raise UserError(f"{version} is not published.", resolution="Look at `bedplate release list`.")

    def _read(self, path: str, kind: type[Document]) -> Document:
        return decode(self.documents[path], kind)


def newest_root(store: Store) -> bytes:
    """The newest root as it was signed. Raises `UserError` when the folder holds no repository."""
    found = store.read(metadata_file(ROOT, 1))
    if found is None:
        raise UserError("There is no release repository.", resolution="Make one with `bedplate release init`.")
    version = 1
    while (later := store.read(metadata_file(ROOT, version + 1))) is not None:
        version, found = version + 1, later
    return found


def read_shown(store: Store) -> Shown:
    """Raises `PeerError` at the first thing that does not fit: nothing may be built on it."""
    root = _parse(f"the newest {ROOT}.json", newest_root(store), Root)
    timestamp = _signed(store, TIMESTAMP_FILE, None, Timestamp)
    meta = timestamp.snapshot_meta
    snapshot = _signed(store, metadata_file(SNAPSHOT, meta.version), meta, Snapshot)
    roles = dict[str, Targets]()
    for name, each in snapshot.meta.items():
        role = name.removesuffix(".json")
        roles[role] = _signed(store, metadata_file(role, each.version), each, Targets)
    documents = {
        path: _document(store, target)
        for role in roles.values()
        for path, target in role.targets.items()
        if path.endswith(("manifest.json", WITHDRAWN)) or path.startswith(f"{CHANNELS}/")
    }
    return Shown(root, snapshot, timestamp, roles, documents)


def target_bytes(store: Store, shown: Shown, path: str) -> bytes | None:
    """The bytes of a small target, or `None` when none of that name was signed."""
    found = next((role.targets[path] for role in shown.roles.values() if path in role.targets), None)
    return None if found is None else _document(store, found)


def _document(store: Store, target: TargetFile) -> bytes:
    path = target_file(target.path, target.hashes["sha256"])  # type: ignore[arg-type]
    data = store.read(path)
    if data is None:
        raise damaged(path, "It is missing.")
    try:
        target.verify_length_and_hashes(data)
    except LengthOrHashMismatchError as problem:
        raise damaged(path, str(problem)) from problem
    return data


def _signed(store: Store, path: str, meta: MetaFile | None, kind: type[S]) -> S:
    data = store.read(path)
    if data is None:
        raise damaged(path, "It is missing.")
    try:
        if meta is not None:
            meta.verify_length_and_hashes(data)
    except LengthOrHashMismatchError as problem:
        raise damaged(path, str(problem)) from problem
    return _parse(path, data, kind).signed


def _parse(path: str, data: bytes, kind: type[S]) -> Metadata[S]:
    try:
        document = Metadata[S].from_bytes(data)
    except RepositoryError as problem:
        raise damaged(path, str(problem)) from problem
    if not isinstance(document.signed, kind):
        raise damaged(path, f"It is metadata of another kind, {document.signed.type}.")
    return document


def damaged(path: str, details: str) -> PeerError:
    return PeerError(f"{path} of the repository is damaged.", details=details, resolution=REPAIR)
