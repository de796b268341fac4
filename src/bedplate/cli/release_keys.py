"""`bedplate release rotate`: exchange the keys of a role."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from securesystemslib.signer import CryptoSigner

from bedplate.cli.context import say
from bedplate.cli.output import OutputFormat, OutputOption
from bedplate.cli.plans import DryRunOption
from bedplate.cli.release_options import (
    KeysOption,
    Ordered,
    RepositoryOption,
    change,
    store_of,
)
from bedplate.host.clock import SystemClock
from bedplate.model.errors import UserError
from bedplate.release.publish.edit import Edit
from bedplate.release.publish.keys import Keyring, make_key, name_key, read_keys
from bedplate.release.publish.rotation import holder_of
from bedplate.release.publish.rotation import rotate as rotate_in
from bedplate.release.publish.shown import read_shown
from bedplate.release.publish.signers import IN_A_FILE, HeldKey


def rotate(
    role: Annotated[
        str, typer.Argument(metavar="ROLE", help="root, targets, releases, channels, snapshot or timestamp.")
    ],
    *,
    remove: Annotated[
        list[str] | None,
        typer.Option("--remove", metavar="KEY", help="The beginning of a key's id; needed when there are several."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Add a key and remove none.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Remove keys and add none.")] = False,
    threshold: Annotated[
        int | None, typer.Option("--threshold", metavar="COUNT", help="How many keys have to sign.")
    ] = None,
    uri: Annotated[
        str | None,
        typer.Option(
            "--uri", metavar="URI", help="Where the new private key is, such as gcpkms:….", show_default="a new file"
        ),
    ] = None,
    public: Annotated[
        Path | None, typer.Option("--public", metavar="FILE", help="Its public key in PEM; goes with --uri.")
    ] = None,
    repository: RepositoryOption = None,
    keys: KeysOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Exchange a key of a role. Nodes follow by themselves.

    A new key takes the place of the old one; it is made in the first folder of
    --keys. The present keys of the root have to sign for root, targets,
    snapshot and timestamp, those of the targets for releases and channels.
    """
    if (uri is None) != (public is None):
        raise UserError("--uri and --public go together.")
    removed = [] if keep else remove or only_key(repository, role)
    stand_in = [] if drop else [CryptoSigner.generate_ed25519().public_key]
    if not dry_run:
        # What is refused is refused before a key is made that nobody would use.
        shown, days = read_shown(store_of(repository)), Keyring([]).days
        rotate_in(Edit(shown, SystemClock().now(), days), role, add=stand_in, remove=removed, threshold=threshold)
    ordered = Ordered(repository, keys, dry_run, output)
    made = None if drop or dry_run else new_key(ordered.folders[0], role, uri, public)
    added = [made.key()] if made else stand_in

    def exchange(edit: Edit) -> None:
        rotate_in(edit, role, add=added, remove=removed, threshold=threshold)

    if change(exchange, ordered):
        say("\n" + "\n".join(what_became(ordered.folders, made, removed)))


def what_became(folders: Sequence[Path], made: HeldKey | None, removed: Sequence[str]) -> Iterator[str]:
    """Where the new key is, and what to do with each that was removed; `removed` are beginnings of ids."""
    if made:
        yield f"The new key of {made.role} is {place_of(folders[0], made)}, its id {made.keyid}."
    for folder in folders:
        for held in read_keys(folder).keys:
            if any(held.keyid.startswith(each) for each in removed):
                yield f"The old one, {place_of(folder, held)}, signs nothing any more: destroy it."


def place_of(folder: Path, held: HeldKey) -> str:
    """Where the private half is: a file, or the URI of what is none."""
    return str(folder / held.uri.removeprefix(IN_A_FILE)) if held.uri.startswith(IN_A_FILE) else held.uri


def only_key(repository: Path | None, role: str) -> list[str]:
    """The one key that a role has; `UserError` when it is not clear which is meant."""
    keyids = holder_of(read_shown(store_of(repository)), role).keyids
    if len(keyids) != 1:
        raise UserError(
            f"{role} has {len(keyids)} keys.",
            details="\n".join(keyids),
            resolution="Say which one goes with --remove, or --keep them.",
        )
    return list(keyids)


def new_key(folder: Path, role: str, uri: str | None, public: Path | None) -> HeldKey:
    return name_key(folder, role, uri, public) if uri and public else make_key(folder, role)
