"""The changes that people ask for, each as an edit: begin, publish, promote, withdraw."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Root, Snapshot, Timestamp

from bedplate.model.errors import PeerError, UserError, briefly
from bedplate.model.reading import InMemory
from bedplate.release.payload.apply import rebuild_full
from bedplate.release.publish.edit import Content, Edit
from bedplate.release.publish.keys import Keyring
from bedplate.release.publish.plan import promoted, require_in_time, require_new, withdrawn_with
from bedplate.release.publish.roles import OF_THE_ROOT, PATTERNS, RULES, TARGETS, TIMESTAMP
from bedplate.release.publish.shown import Shown
from bedplate.release.trust.layout import CHANNELS, RELEASES
from bedplate.wire.release import (
    WITHDRAWN,
    PartName,
    PayloadKind,
    Release,
    Withdrawn,
    channel_path,
    encode,
    folder_of,
    manifest_path,
)
from bedplate.wire.uki import NotUki, read_uki


def begin(keyring: Keyring, now: datetime) -> Edit:
    """An empty repository whose roles have the keys that the keyring holds for them."""
    edit = Edit(_nothing(now), now, keyring.days)
    root = edit.root("the keys that nodes trust from the start")
    for role in OF_THE_ROOT:
        for key in keyring.of_role(role):
            root.add_key(key, role)
        root.roles[role].threshold = RULES[role].threshold
    targets = edit.role(TARGETS, "who signs releases and who signs channels")
    targets.delegations = Delegations({}, {})
    for role, patterns in PATTERNS.items():
        roles = {**(targets.delegations.roles or {}), role: _delegated(role, [], RULES[role].threshold, *patterns)}
        targets.delegations.roles = roles
        for key in keyring.of_role(role):
            targets.add_key(key, role)
    edit.role(RELEASES, "no version yet").delegations = Delegations({}, {})
    edit.target(CHANNELS, WITHDRAWN, encode(Withdrawn()), "nothing is withdrawn")
    return edit


def publish(edit: Edit, release: Release, files: Mapping[str, Content]) -> None:
    """Add a version. `files` are its payloads and whatever goes with it (SBOM, notes), by their target paths.

    The version gets a role of its own, so that a node fetches the metadata of the one version that it wants.
    """
    require_new(release, edit.shown.versions)
    require_in_time(release.version, until=edit.expiry(TIMESTAMP))
    lacking = {payload.path for payload in release.payloads} - files.keys()
    stray = [path for path in files if not path.startswith(f"{folder_of(release.version)}/")]
    if lacking or stray:
        raise UserError(
            f"The files of {release.version} are not those that its manifest names.",
            details="\n".join([*(f"missing: {path}" for path in sorted(lacking)), *(f"stray: {p}" for p in stray)]),
        )
    for path, content in files.items():
        edit.target(release.version, path, content, f"{release.version} consists of it")
    _require_as_named(edit, release)
    _require_started(release, files)
    edit.target(release.version, manifest_path(release.version), encode(release), "says what the version consists of")
    _delegate(edit, release.version)


def promote(edit: Edit, channel: str, version: str, *, allow_rollback: bool = False) -> None:
    """Point a channel to a version; nothing when it points there already."""
    shown = edit.shown
    shown.require_published(version)
    before = shown.channel(channel)
    after = promoted(
        channel, version, channel=before, withdrawn=shown.withdrawn, now=edit.now, allow_rollback=allow_rollback
    )
    if after is not None:
        why = f"{channel} moves from {before.version} to {version}" if before else f"{channel} begins with {version}"
        edit.target(CHANNELS, channel_path(channel), encode(after), why)


def withdraw(edit: Edit, version: str, reason: str) -> list[str]:
    """Mark a version as not to be installed. Gives the channels that still point to it."""
    edit.shown.require_published(version)
    after = withdrawn_with(edit.shown.withdrawn, version, reason=reason, now=edit.now)
    edit.target(CHANNELS, WITHDRAWN, encode(after), f"{version} is withdrawn: {reason}")
    return [channel.name for channel in edit.shown.channels if channel.version == version]


def _delegate(edit: Edit, version: str) -> None:
    holder = edit.shown.roles[TARGETS].get_delegated_role(RELEASES)
    keys = [edit.shown.roles[TARGETS].get_key(keyid) for keyid in holder.keyids]
    releases = edit.role(RELEASES, f"{version} joins the versions")
    delegations = releases.delegations or Delegations({}, {})
    role = _delegated(version, [], holder.threshold, f"{folder_of(version)}/*")
    delegations.roles = {**(delegations.roles or {}), version: role}
    releases.delegations = delegations
    for key in keys:
        releases.add_key(key, version)


def _require_as_named(edit: Edit, release: Release) -> None:
    targets = edit.role(release.version, "").targets
    for payload in release.payloads:
        found = targets[payload.path]
        if (found.length, found.hashes["sha256"]) != (payload.size, payload.sha256):
            raise UserError(f"{payload.path} is not the file that the manifest describes.", resolution="Make it again.")


def _require_started(release: Release, files: Mapping[str, Content]) -> None:
    """Nodes start what the UKI's command line names; all of them would refuse one that names another /usr."""
    signed = release.verity.root_hash
    try:
        starts = read_uki(InMemory(_uki_of(release, files))).root_hash
    except (NotUki, PeerError) as problem:
        details = str(problem) if isinstance(problem, NotUki) else briefly(problem)
        raise UserError(
            f"The UKI of {release.version} cannot be read.", details=details, resolution="Make the release again."
        ) from problem
    if starts != signed:
        raise UserError(
            f"The UKI of {release.version} does not start the /usr of its manifest.",
            details=f"UKI: usrhash={starts or 'none'}\nmanifest: root hash {signed}",
            resolution="Publish both as one image was built: no node would take this.",
        )


def _uki_of(release: Release, files: Mapping[str, Content]) -> bytes:
    """The UKI, out of its full payload."""
    (payload,) = [each for each in release.payloads if each.part is PartName.UKI and each.kind is PayloadKind.FULL]
    content = files[payload.path]
    packed = content.read_bytes() if isinstance(content, Path) else content
    return b"".join(rebuild_full([packed], payload, release.uki))


def _delegated(name: str, keyids: list[str], threshold: int, *patterns: str) -> DelegatedRole:
    return DelegatedRole(name, keyids, threshold, terminating=True, paths=list(patterns))


def _nothing(now: datetime) -> Shown:
    """What is shown before there is anything: every version is 0, so that the first will be 1."""
    root, snapshot, timestamp = (
        Root(expires=now, consistent_snapshot=True),
        Snapshot(expires=now),
        Timestamp(expires=now),
    )
    snapshot.meta.clear()
    for each in (root, snapshot, timestamp):
        each.version = 0
    return Shown(Metadata(root), snapshot, timestamp, {}, {})
