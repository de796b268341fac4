"""A release repository in memory that signs with real keys and can be made to lie in one fact at a time.

Change a fact (a version, an expiry, a signer, a target), call `show`, and the server shows it. What was shown before
stays there, as on a real server.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from bedplate.model.digests import Sha256, sha256
from bedplate.release.trust.layout import (
    CHANNEL_PATTERNS,
    CHANNELS,
    MADE,
    RELEASE_PATTERN,
    RELEASES,
    TIMESTAMP_FILE,
    metadata_file,
    target_file,
)
from bedplate.testing.clock import START
from bedplate.testing.http import FakeHttp
from bedplate.testing.releases import MIRROR, VERSION, release_of
from bedplate.wire.release import (
    WITHDRAWN,
    Channel,
    Release,
    Withdrawal,
    Withdrawn,
    channel_path,
    encode,
    folder_of,
)

ROOT_KEYS, ROOT_THRESHOLD = 3, 2
DAYS = {"root": 365, "timestamp": 7, "snapshot": 30, "targets": 365}


@dataclass
class RepositorySimulator:
    """`roles` are the signed parts of the metadata, `signers` sign them, and `files` is what the server shows."""

    now: datetime = START
    roles: dict[str, Signed] = field(default_factory=dict)
    signers: dict[str, list[Signer]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    targets: dict[str, bytes] = field(default_factory=dict)
    roots: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        keys = {"root": ROOT_KEYS} | dict.fromkeys(("targets", "snapshot", "timestamp", RELEASES, CHANNELS), 1)
        self.signers = {role: [CryptoSigner.generate_ed25519() for _ in range(count)] for role, count in keys.items()}
        self.roles = {
            "root": Root(expires=self.later("root"), consistent_snapshot=True),
            "targets": Targets(expires=self.later("targets"), delegations=Delegations({}, {})),
            RELEASES: Targets(expires=self.later("targets"), delegations=Delegations({}, {})),
            CHANNELS: Targets(expires=self.later("targets")),
            "snapshot": Snapshot(expires=self.later("snapshot")),
            "timestamp": Timestamp(expires=self.later("timestamp")),
        }
        self._name_keys()
        self.publish(VERSION)
        self.point("1.37/stable", VERSION)
        self.show_root()
        self.show()

    @property
    def root(self) -> Root:
        role = self.roles["root"]
        assert isinstance(role, Root)  # noqa: S101  # tells the type
        return role

    @property
    def timestamp(self) -> Timestamp:
        role = self.roles["timestamp"]
        assert isinstance(role, Timestamp)  # noqa: S101
        return role

    @property
    def snapshot(self) -> Snapshot:
        role = self.roles["snapshot"]
        assert isinstance(role, Snapshot)  # noqa: S101
        return role

    def role(self, name: str) -> Targets:
        role = self.roles[name]
        assert isinstance(role, Targets)  # noqa: S101
        return role

    def later(self, role: str) -> datetime:
        return self.now + timedelta(days=DAYS.get(role, 365))

    def http(self, mirror: str = MIRROR) -> FakeHttp:
        """A server that shows `files` at the address `mirror`."""
        return FakeHttp(lambda url: self.files.get(urlsplit(url).path.lstrip("/")) if url.startswith(mirror) else None)

    def publish(
        self, version: str, usr: bytes = b"usr" * 5000, uki: bytes = b"uki" * 1000, *, packed: bool = False
    ) -> Release:
        """A version, with a role of its own that the role of releases delegates to."""
        release, files = release_of(version, usr=usr, uki=uki, packed=packed)
        pattern = [f"{folder_of(version)}/*"]
        self.signers[version] = self.signers[RELEASES]
        self.roles[version] = Targets(expires=self.later("targets"))
        delegations = self._delegations(RELEASES)
        delegations.roles = {**(delegations.roles or {}), version: DelegatedRole(version, [], 1, True, pattern)}  # noqa: FBT003
        self.role(RELEASES).add_key(self.signers[RELEASES][0].public_key, version)
        self.bump(RELEASES)
        for path, data in files.items():
            self.add(version, path, data)
        return release

    def point(self, channel: str, version: str) -> None:
        self.add(CHANNELS, channel_path(channel), encode(Channel(name=channel, version=version, since=self.now)))
        self.bump(CHANNELS)

    def withdraw(self, version: str, reason: str) -> None:
        document = Withdrawn(versions=(Withdrawal(version=version, reason=reason, at=self.now),))
        self.add(CHANNELS, WITHDRAWN, encode(document))
        self.bump(CHANNELS)

    def add(self, role: str, path: str, data: bytes) -> None:
        """Make `data` a target of `role`, shown with the next `show`."""
        self.targets[path] = data
        self.role(role).targets[path] = TargetFile(len(data), {"sha256": sha256(data)}, path)

    def bump(self, *roles: str) -> None:
        for role in roles:
            self.roles[role].version += 1

    def rotate(self, role: str) -> None:
        """Give a role of the root a new key and show the new root, signed by the old threshold and the new one."""
        before = list(self.signers["root"])
        fresh: Signer = CryptoSigner.generate_ed25519()
        old = self.signers[role][0].public_key.keyid
        self.root.revoke_key(old, role)
        self.root.add_key(fresh.public_key, role)
        self.signers[role] = [*self.signers[role][1:], fresh]
        self.bump("root")
        self.root.expires = self.later("root")
        signers = {signer.public_key.keyid: signer for signer in [*before, *self.signers["root"]]}
        self.show_root(list(signers.values()))

    def renew(self) -> None:
        """Sign everything but the root anew, as of now."""
        for name, role in self.roles.items():
            if name != "root":
                role.expires = self.later(name)
                self.bump(name)
        self.show()

    def show_root(self, signers: Sequence[Signer] | None = None) -> None:
        data = self.sign("root", signers)
        self.roots.append(data)
        self.files[metadata_file("root", self.root.version)] = data

    def show(self) -> None:
        """Show the present targets, a new snapshot of them and a new timestamp."""
        for name in self.roles:
            if name not in ("root", "timestamp", "snapshot"):
                data = self.sign(name)
                self.files[metadata_file(name, self.roles[name].version)] = data
                self.snapshot.meta[f"{name}.json"] = _meta(self.roles[name].version, data)
        for path, data in self.targets.items():
            self.files[target_file(path, Sha256(sha256(data)))] = data
        self.bump("snapshot")
        data = self.sign("snapshot")
        self.files[metadata_file("snapshot", self.snapshot.version)] = data
        self.timestamp.snapshot_meta = _meta(self.snapshot.version, data)
        self.bump("timestamp")
        self.show_timestamp()

    def show_timestamp(self) -> None:
        self.timestamp.unrecognized_fields[MADE] = f"{self.now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        self.files[TIMESTAMP_FILE] = self.sign("timestamp")

    def show_instead(self, role: str, signed: Any) -> None:
        """Show any JSON as what a role says: signed by its own keys, and named by what stands above it."""
        text = (encode_canonical(signed) or "").encode()
        signatures = [signer.sign(text).to_dict() for signer in self.signers[role]]
        data = json.dumps({"signed": signed, "signatures": signatures}).encode()
        if role == "timestamp":
            self.files[TIMESTAMP_FILE] = data
            return
        version = self.roles[role].version
        self.files[metadata_file(role, version)] = data
        if role == "snapshot":
            self.timestamp.snapshot_meta = _meta(version, data)
            self.show_timestamp()
        else:
            self.snapshot.meta[f"{role}.json"] = _meta(version, data)
            self.show_instead("snapshot", self.snapshot.to_dict())

    def sign(self, role: str, signers: Sequence[Signer] | None = None) -> bytes:
        document: Metadata[Any] = Metadata(self.roles[role])
        for signer in signers if signers is not None else self.signers[role]:
            document.sign(signer, append=True)
        return document.to_bytes()

    def _delegations(self, role: str) -> Delegations:
        found = self.role(role).delegations
        assert found is not None  # noqa: S101
        return found

    def _name_keys(self) -> None:
        for role in ("root", "targets", "snapshot", "timestamp"):
            for signer in self.signers[role]:
                self.root.add_key(signer.public_key, role)
        self.root.roles["root"].threshold = ROOT_THRESHOLD
        patterns = {CHANNELS: list(CHANNEL_PATTERNS), RELEASES: [RELEASE_PATTERN]}
        self._delegations("targets").roles = {
            name: DelegatedRole(name, [], 1, True, paths)  # noqa: FBT003  # the library's signature
            for name, paths in patterns.items()
        }
        for name in patterns:
            self.role("targets").add_key(self.signers[name][0].public_key, name)


def _meta(version: int, data: bytes) -> MetaFile:
    return MetaFile(version, len(data), {"sha256": sha256(data)})
