"""Looking at a whole repository: everything that is damaged, not only the first thing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from tuf.api.exceptions import LengthOrHashMismatchError, RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from bedplate.model.digests import Sha256
from bedplate.model.errors import PeerError
from bedplate.model.verdicts import Finding, Severity
from bedplate.release.publish.renewal import refresh_command
from bedplate.release.publish.roles import ROOT, RULES, SNAPSHOT, TARGETS, TIMESTAMP
from bedplate.release.publish.store import Store
from bedplate.release.trust.client import CONFIG
from bedplate.release.trust.layout import CHANNELS, RELEASES, ROOT_VERSION, TIMESTAMP_FILE, metadata_file, target_file
from bedplate.wire.release import (
    WITHDRAWN,
    Channel,
    Document,
    Release,
    Withdrawn,
    channel_path,
    decode,
    folder_of,
    manifest_path,
)

S = TypeVar("S", Root, Snapshot, Targets, Timestamp)
COPY = "Copy it again from where the repository is whole."


class Inspection:
    """One look; `findings` come in the order in which a node would meet them. What hangs on damage is left out."""

    def __init__(self, store: Store, now: datetime) -> None:
        self.findings: list[Finding] = []
        self._store, self._now = store, now
        self._paths = frozenset(store.paths())
        self._targets: dict[str, TargetFile] = {}

    def look(self) -> Sequence[Finding]:
        root = self._roots()
        if root is not None:
            self._below(root)
        sound = {path for path, target in self._targets.items() if self._file(path, target)}
        self._documents(sound)
        for path in sorted(self._paths):
            if path.rpartition("/")[2].startswith("."):
                self._say(Severity.WARNING, path, "A write that was cut short left it.", "Remove it.")
        return self.findings

    def _roots(self) -> Root | None:
        """The newest root, after a look at the whole chain: a node may begin at any of them."""
        trusted: Root | None = None
        for number in _chain({_number(path) for path in self._paths if path.endswith(f".{ROOT}.json")}):
            path = metadata_file(ROOT, number)
            document = self._read(path, None, Root)
            if document is not None and document.signed.version != number:
                self._say(Severity.ERROR, path, f"It is version {document.signed.version} of the root.", COPY)
            elif document is not None:
                for delegator in (trusted, document.signed) if trusted else (document.signed,):
                    self._signed(path, ROOT, document, delegator)
                trusted = document.signed
        if trusted is not None:
            self._current(metadata_file(ROOT, trusted.version), ROOT, trusted.expires)
        return trusted

    def _below(self, root: Root) -> None:
        stamp = self._role(TIMESTAMP_FILE, TIMESTAMP, None, Timestamp, root)
        if stamp is None:
            return
        self._newest_root(stamp, root)
        path = metadata_file(SNAPSHOT, stamp.snapshot_meta.version)
        snapshot = self._role(path, SNAPSHOT, stamp.snapshot_meta, Snapshot, root)
        if snapshot is None:
            return
        found: dict[str, Targets] = {}
        named = {each.removesuffix(".json"): meta for each, meta in snapshot.meta.items()}
        for name in dict.fromkeys((TARGETS, RELEASES, CHANNELS, *sorted(named))):
            meta = named.get(name)
            if meta is None:
                self._say(Severity.ERROR, path, f"It does not name {name}.")
                continue
            parent = root if name == TARGETS else found.get(TARGETS if name in RULES else RELEASES)
            role = self._role(metadata_file(name, meta.version), name, meta, Targets, parent)
            if role is not None:
                found[name] = role
                self._targets |= role.targets

    def _newest_root(self, stamp: Timestamp, root: Root) -> None:
        newest = stamp.unrecognized_fields.get(ROOT_VERSION, root.version)
        if type(newest) is not int:
            self._say(Severity.ERROR, TIMESTAMP_FILE, f"It names {newest!r} as the newest root, and that is no number.")
            return
        missed = metadata_file(ROOT, newest)
        if newest > root.version and not any(finding.about == missed for finding in self.findings):
            self._say(Severity.ERROR, missed, "It is missing: the timestamp names it.", COPY)

    def _role(
        self, path: str, name: str, meta: MetaFile | None, kind: type[S], delegator: Root | Targets | None
    ) -> S | None:
        document = self._read(path, meta, kind)
        if document is None:
            return None
        if delegator is not None:
            self._signed(path, name, document, delegator)
        self._current(path, name, document.signed.expires)
        return document.signed

    def _read(self, path: str, meta: MetaFile | None, kind: type[S]) -> Metadata[S] | None:
        try:
            data = self._store.read(path)
        except OSError as problem:
            self._unreadable(path, problem)
            return None
        if data is None:
            self._say(Severity.ERROR, path, "It is missing.", COPY)
            return None
        try:
            if meta is not None:
                meta.verify_length_and_hashes(data)
            document = Metadata[S].from_bytes(data)
        except (LengthOrHashMismatchError, RepositoryError) as problem:
            self._say(Severity.ERROR, path, f"It is damaged: {problem}.", COPY)
            return None
        if not isinstance(document.signed, kind):
            self._say(Severity.ERROR, path, f"It is metadata of another kind, {document.signed.type}.", COPY)
            return None
        return document

    def _signed(self, path: str, name: str, document: Metadata[S], delegator: Root | Targets) -> None:
        try:
            delegator.verify_delegate(name, document.signed_bytes, document.signatures)
        except (RepositoryError, ValueError) as problem:
            self._say(Severity.ERROR, path, f"Its signatures do not hold: {problem}.", COPY)

    def _current(self, path: str, name: str, expires: datetime) -> None:
        if expires <= self._now:
            advice = f"Run `{refresh_command(name)}`."
            self._say(Severity.ERROR, path, f"It expired at {expires:%Y-%m-%d %H:%M} UTC.", advice)

    def _file(self, path: str, target: TargetFile) -> bool:
        """Whether the file of a target is as it was signed."""
        digest = Sha256(target.hashes["sha256"])
        name = target_file(path, digest)
        try:
            found = self._store.measure(name)
        except OSError as problem:
            self._unreadable(name, problem)
            return False
        if found is None:
            self._say(Severity.ERROR, name, "It is missing.", COPY)
        elif found[0] != target.length:
            self._say(Severity.ERROR, name, f"It has {found[0]} bytes, and {target.length} were signed.", COPY)
        elif found[1] != digest:
            self._say(Severity.ERROR, name, "It is damaged: its digest is another.", COPY)
        return found == (target.length, digest)

    def _documents(self, sound: set[str]) -> None:
        """Whether channels, manifests and withdrawals agree with one another."""
        withdrawn = self._decoded(WITHDRAWN, Withdrawn) if WITHDRAWN in sound else None
        for path in sorted(sound):
            if path.startswith(f"{CHANNELS}/"):
                self._channel(path, withdrawn or Withdrawn())
            elif path.endswith("/manifest.json"):
                self._manifest(path)

    def _channel(self, path: str, withdrawn: Withdrawn) -> None:
        channel = self._decoded(path, Channel)
        if channel is None:
            return
        if path != channel_path(channel.name):
            self._say(Severity.ERROR, path, f"It is the document of {channel.name}.")
        if manifest_path(channel.version) not in self._targets:
            self._say(Severity.ERROR, path, f"It points to {channel.version}, which is not there.", COPY)
        if (found := withdrawn.find(channel.version)) is not None:
            advice = "Promote another version."
            message = f"It points to {channel.version}, which was withdrawn: {found.reason}"
            self._say(Severity.WARNING, path, message, advice)

    def _manifest(self, path: str) -> None:
        release = self._decoded(path, Release)
        if release is None:
            return
        if path != manifest_path(release.version):
            self._say(Severity.ERROR, path, f"It is the manifest of {release.version}.")
        for payload in release.payloads:
            target = self._targets.get(payload.path)
            if target is None or (target.length, target.hashes["sha256"]) != (payload.size, payload.sha256):
                self._say(Severity.ERROR, path, f"What it says of {payload.path} is not what was signed.")
            if payload.base and f"{folder_of(payload.base)}/manifest.json" not in self._targets:
                message = f"{payload.path} is made against {payload.base}, which is not there."
                self._say(Severity.WARNING, path, message)

    def _decoded(self, path: str, kind: type[Document]) -> Document | None:
        target = self._targets[path]
        name = target_file(path, Sha256(target.hashes["sha256"]))
        try:
            return decode(self._store.read(name) or b"", kind)
        except PeerError as problem:
            self._say(Severity.ERROR, name, f"It cannot be used: {problem.details}")
            return None

    def _unreadable(self, path: str, problem: OSError) -> None:
        self._say(Severity.ERROR, path, f"It cannot be read: {problem.strerror}.", COPY)

    def _say(self, severity: Severity, about: str, message: str, advice: str = "") -> None:
        self.findings.append(Finding(severity, about, message, advice))


def verify(store: Store, now: datetime) -> Sequence[Finding]:
    """Everything that is wrong with a repository; nothing when all is well."""
    return Inspection(store, now).look()


def _chain(known: set[int]) -> Iterator[int]:
    """Every number up to the highest one; of a gap no more than what a node would follow at once."""
    expected = 1
    for number in sorted(known or {1}):
        yield from range(expected, min(number, expected + CONFIG.max_root_rotations))
        if number >= expected:
            yield number
            expected = number + 1


def _number(path: str) -> int:
    number = path.rpartition("/")[2].partition(".")[0]
    return int(number) if number.isdigit() else 1
