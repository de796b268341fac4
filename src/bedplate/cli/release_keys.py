"""`bedplate release rotate`: exchange the keys of a role."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from securesystemslib.signer import CryptoSigner, Key

from bedplate.cli.context import say
from bedplate.cli.output import OutputFormat, OutputOption
from bedplate.cli.plans import DryRunOption
from bedplate.cli.release_options import (
    Change,
    KeysOption,
    Ordered,
    RepositoryOption,
    change,
    store_of,
)
from bedplate.host.clock import SystemClock
from bedplate.model.errors import UserError
from bedplate.release.publish.edit import Edit
from bedplate.release.publish.keys import FILE, Keyring, make_key, name_key, read_keys
from bedplate.release.publish.rotation import holder_of, key_of, roles_of
from bedplate.release.publish.rotation import rotate as rotate_in
from bedplate.release.publish.shown import Shown, read_shown
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
    shown = read_shown(store_of(repository))
    removed = [] if keep else removed_keys(shown, role, remove or ())
    stand_in = [] if drop else [CryptoSigner.generate_ed25519().public_key]
    exchange = partial(rotate_in, role=role, remove=removed, threshold=threshold)
    ordered = Ordered(repository, keys, dry_run, output)
    if not dry_run:
        require_signers(shown, partial(exchange, add=stand_in), ordered.folders, stand_in)
    made = None if drop or dry_run else new_key(ordered.folders[0], role, uri, public)
    if change(partial(exchange, add=[made.key()] if made else stand_in), ordered):
        shown = read_shown(store_of(repository))
        say("\n" + "\n".join(dict.fromkeys(what_became(shown, ordered.folders, made, removed))))


def require_signers(shown: Shown, make: Change, folders: Sequence[Path], to_be_made: Sequence[Key]) -> None:
    """What is refused is refused before a key is made that nobody would use."""
    keyring = Keyring([folder for folder in folders if (folder / FILE).exists()])
    edit = Edit(shown, SystemClock().now(), keyring.days)
    make(edit)
    edit.require(keyring, besides=[key.keyid for key in to_be_made])


def what_became(shown: Shown, folders: Sequence[Path], made: HeldKey | None, removed: Sequence[str]) -> Iterator[str]:
    """Where the new key is, and what to do with each that was removed; `removed` are ids, `shown` is afterwards."""
    if made:
        yield f"The new key of {made.role} is {place_of(folders[0], made)}, its id {made.keyid}."
    for folder in folders:
        for held in read_keys(folder).keys:
            if held.keyid in removed:
                still = ", ".join(roles_of(shown, held.keyid))
                fate = f"still signs for {still}: keep it" if still else "signs nothing any more: destroy it"
                yield f"The old one, {place_of(folder, held)}, {fate}."


def place_of(folder: Path, held: HeldKey) -> str:
    """Where the private half is: a file, or the URI of what is none."""
    return str(folder / held.uri.removeprefix(IN_A_FILE)) if held.uri.startswith(IN_A_FILE) else held.uri


def removed_keys(shown: Shown, role: str, beginnings: Sequence[str]) -> list[str]:
    """The ids that begin so, else that of the role's one key; `UserError` when it is not clear which is meant."""
    holder = holder_of(shown, role)
    if not beginnings and len(holder.keyids) != 1:
        raise UserError(
            f"{role} has {len(holder.keyids)} keys.",
            details="\n".join(holder.keyids),
            resolution="Say which one goes with --remove, or --keep them.",
        )
    return [key_of(holder, role, beginning) for beginning in beginnings] or list(holder.keyids)


def new_key(folder: Path, role: str, uri: str | None, public: Path | None) -> HeldKey:
    return name_key(folder, role, uri, public) if uri and public else make_key(folder, role)
