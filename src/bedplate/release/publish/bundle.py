"""A bundle: metadata and payloads in one file, for machines without a network.

It is a zip archive without compression whose names are those of the repository, so it may as well be unpacked onto a
web server, but for its timestamp: that was made for the bundle, holds as long as was chosen, and says so.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from tuf.api.metadata import Targets

from bedplate.host.files import space_for
from bedplate.model.digests import Sha256
from bedplate.model.errors import UserError
from bedplate.release.publish.edit import Edit, carry_out
from bedplate.release.publish.keys import Keyring
from bedplate.release.publish.roles import ROOT, TARGETS
from bedplate.release.publish.shown import Shown, read_shown
from bedplate.release.publish.store import Store
from bedplate.release.trust.layout import (
    BUNDLE,
    CHANNELS,
    RELEASES,
    TIMESTAMP_FILE,
    metadata_file,
    target_file,
)

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that zip can tell; the same bundle has the same bytes."""


def plan_bundle(edit: Edit, versions: Sequence[str], until: datetime) -> None:
    """Prepare a repository for a bundle of some versions that holds until a given time.

    The bundle takes one version of the timestamp for itself, so that a node that read it accepts the repository's own
    next one. Raises `UserError` when something else would expire before.
    """
    shown = edit.shown
    if not versions:
        raise UserError("No version is named.", resolution="Name one that is published, or a channel.")
    for version in versions:
        shown.require_published(version)
        if (found := shown.withdrawn.find(version)) is not None:
            raise UserError(f"{version} was withdrawn: {found.reason}")
    if until <= edit.now:
        raise UserError("The bundle would expire before it is made.")
    expiries = {ROOT: shown.root.signed.expires}
    expiries |= {name: shown.roles[name].expires for name in (TARGETS, RELEASES, CHANNELS, *versions)}
    early = {name: expires for name, expires in expiries.items() if expires < until}
    if early:
        raise UserError(
            f"The bundle is to hold until {until:%Y-%m-%d}, and what is in it does not.",
            details="\n".join(f"{name} expires {expires:%Y-%m-%d}" for name, expires in early.items()),
            resolution=f"Choose less time, or sign anew: bedplate release refresh {' '.join(early)}",
        )
    edit.renew("a bundle is made", snapshot_until=until)
    edit.leave_a_version_to_a_bundle()


def make_bundle(
    edit: Edit, versions: Sequence[str], until: datetime, *, keyring: Keyring, store: Store, file: Path
) -> None:
    """Carry out what `plan_bundle` prepared, then write `file` in one step."""
    writes = edit.seal(keyring)
    stamp = edit.stamp_for_a_bundle(until, {BUNDLE: True}, keyring)
    carry_out(writes, store)
    shown = read_shown(store)
    scratch = file.with_name(f".{file.name}.part")
    with space_for(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with zipfile.ZipFile(scratch, "w", zipfile.ZIP_STORED) as archive:
                archive.writestr(zipfile.ZipInfo(TIMESTAMP_FILE, EPOCH), stamp)
                for path in content(shown, versions):
                    with store.open(path) as source, archive.open(_entry(store, path), "w") as target:
                        shutil.copyfileobj(source, target, 1 << 20)
            scratch.replace(file)
        finally:
            scratch.unlink(missing_ok=True)


def content(shown: Shown, versions: Iterable[str]) -> list[str]:
    """The files that a node may ask for on its way to those versions, but for the timestamp."""
    snapshot = shown.timestamp.snapshot_meta.version
    paths = [metadata_file(ROOT, number + 1) for number in range(shown.root.signed.version)]
    paths.append(metadata_file("snapshot", snapshot))
    for name in (TARGETS, RELEASES, CHANNELS, *versions):
        role = shown.roles[name]
        paths += [metadata_file(name, role.version), *_files(role)]
    return paths


def _files(role: Targets) -> list[str]:
    return [target_file(path, Sha256(target.hashes["sha256"])) for path, target in role.targets.items()]


def _entry(store: Store, path: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, EPOCH)
    measured = store.measure(path)
    entry.file_size = measured[0] if measured else 0
    return entry
