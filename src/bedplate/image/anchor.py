"""The trust anchor that an image carries: the root metadata with which a node begins to judge releases."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from bedplate.host.files import write_atomically
from bedplate.host.locks import in_turn
from bedplate.model.errors import UserError
from bedplate.release.publish.changes import begin
from bedplate.release.publish.edit import carry_out
from bedplate.release.publish.keys import FILE, Keyring, make_keys
from bedplate.release.publish.shown import newest_root
from bedplate.release.publish.store import FolderStore
from bedplate.release.trust.layout import TIMESTAMP_FILE

PLACE = "usr/share/bedplate/root.json"


def bake(root: bytes, folder: Path) -> None:
    """Put the root into the folder that becomes the image, where the agent looks for it; nothing when it is empty."""
    if root:
        write_atomically(folder / PLACE, root)


def development_root(folder: Path, now: datetime) -> bytes:
    """The newest root of the development repository in `folder`, which is begun when it is not there.

    It is the one that `bedplate release` works on when no other is named.
    """
    store = FolderStore(folder / "repository")
    with in_turn(folder / ".lock", doing="beginning a release repository", waiting=nullcontext):
        if store.read(TIMESTAMP_FILE) is None:
            if not (folder / "keys" / FILE).exists():
                make_keys(folder / "keys")
            keyring = Keyring([folder / "keys"])
            carry_out(begin(keyring, now).seal(keyring), store)
    return newest_root(store)


def known_root(folder: Path) -> bytes:
    """The same without beginning anything; empty where there is none yet."""
    store = FolderStore(folder / "repository")
    return newest_root(store) if store.read(TIMESTAMP_FILE) is not None else b""


def own_root(file: Path) -> bytes:
    """The root metadata in a file of the user's. Raises `UserError` when it is none, or not signed as it says."""
    try:
        data = file.read_bytes()
        document = Metadata[Root].from_bytes(data)
        if not isinstance(document.signed, Root):
            raise UserError(f"{file} is the metadata of {document.signed.type}, not of a root.")
        document.signed.verify_delegate("root", document.signed_bytes, document.signatures)
    except (OSError, RepositoryError) as problem:
        raise UserError(
            f"{file} is not the root of a release repository.",
            details=str(problem),
            resolution="Name the newest metadata/N.root.json of your repository.",
        ) from problem
    return data
