"""`bedplate release rotate`: exchange the keys of a role."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bedplate.cli.context import environment, say
from bedplate.cli.output import OutputFormat, OutputOption
from bedplate.cli.plans import DryRunOption
from bedplate.cli.release_options import KeysOption, Ordered, RepositoryOption, in_turn
from bedplate.host.clock import SystemClock
from bedplate.model.errors import UserError
from bedplate.release.publish.edit import Edit, carry_out
from bedplate.release.publish.keys import FILE, Keyring, NewKey, keep_key, named_key, new_key, read_keys
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
    lost: Annotated[bool, typer.Option("--lost", help="The key that goes is not there to sign.")] = False,
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
    snapshot and timestamp, those of the targets for releases and channels. An
    old key of the root's roles signs once more, for nodes that look meanwhile,
    unless it is --lost.
    """
    if (uri is None) != (public is None):
        raise UserError("--uri and --public go together.")
    if keep and lost:
        raise UserError("--keep removes no key, so none goes that is lost.", resolution="Leave out one of them.")
    ordered = Ordered(repository, keys, dry_run, output)
    folder, store = ordered.folders[0], ordered.store
    with in_turn(store, dry_run=dry_run):
        shown = read_shown(store)
        removed = [] if keep else removed_keys(shown, role, remove or ())
        made = None if drop else named_key(role, uri, public) if uri and public else new_key(folder, role)
        keyring = keyring_of(ordered, made, lost=removed if lost else ())
        edit = Edit(shown, SystemClock().now(), keyring.days)
        rotate_in(edit, role, add=[made.held.key()] if made else [], remove=removed, threshold=threshold)
        if not dry_run:
            writes = edit.seal(keyring)
            if made:
                # Not before all have signed: a key that nobody would use is never kept, and one in use always is.
                keep_key(folder, made)
            carry_out(writes, store)
    ordered.emit(edit.actions)
    if not dry_run:
        say("\n" + "\n".join(dict.fromkeys(what_became(read_shown(store), ordered.folders, made, removed))))


def keyring_of(ordered: Ordered, made: NewKey | None, *, lost: Sequence[str]) -> Keyring:
    """What is to sign, the new key with it; the folder that this one goes to may have no keys yet."""
    if ordered.dry_run:
        return Keyring([])
    folder, *others = ordered.folders
    keyring = Keyring([folder, *others] if made is None or (folder / FILE).exists() else others, environment())
    keyring.do_without(lost)
    if made:
        keyring.add(folder, made)
    return keyring


def what_became(shown: Shown, folders: Sequence[Path], made: NewKey | None, removed: Sequence[str]) -> Iterator[str]:
    """Where the new key is, and what to do with each that was removed; `removed` are ids, `shown` is afterwards."""
    if made:
        held = made.held
        yield f"The new key of {held.role} is {place_of(folders[0], held)}, its id {held.keyid}."
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
