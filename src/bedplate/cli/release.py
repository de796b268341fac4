"""`bedplate release`: the repository that nodes get their releases from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bedplate.cli.output import OutputFormat, OutputOption
from bedplate.cli.release_carry import bundle, serve
from bedplate.cli.release_keys import rotate
from bedplate.cli.release_options import (
    DryRunOption,
    KeysOption,
    RepositoryOption,
    VersionArgument,
    change,
    emit_plan,
    key_folders,
    store_of,
)
from bedplate.cli.release_show import list_releases, show, verify
from bedplate.host.clock import SystemClock
from bedplate.model.errors import UserError
from bedplate.release.publish.changes import begin
from bedplate.release.publish.changes import promote as promote_in
from bedplate.release.publish.changes import publish as publish_in
from bedplate.release.publish.changes import withdraw as withdraw_in
from bedplate.release.publish.edit import carry_out
from bedplate.release.publish.keys import FILE, Keyring, make_keys
from bedplate.release.publish.prepared import read_prepared
from bedplate.release.publish.renewal import refresh as refresh_in
from bedplate.release.trust.layout import TIMESTAMP_FILE

app = typer.Typer(help="The repository that nodes get releases from.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def init(
    *,
    repository: RepositoryOption = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys", metavar="FOLDER", help="Where its keys are made, or lie already.", show_default="beside it"
        ),
    ] = None,
    dry_run: DryRunOption = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Begin a repository, with keys for its roles.

    Three root keys of which two must sign, and one key for each other role. A
    folder with keys.json is used as it is; else keys are made there. Move the
    root keys away afterwards: they are needed to exchange keys, and once a year.
    """
    store = store_of(repository)
    if store.read(TIMESTAMP_FILE) is not None:
        raise UserError(f"{store.folder} is a release repository already.")
    (folder,) = key_folders([keys] if keys else None)
    if not (folder / FILE).exists() and not dry_run:
        make_keys(folder)
    keyring = Keyring([folder] if (folder / FILE).exists() else [])
    edit = begin(keyring, SystemClock().now())
    if not dry_run:
        carry_out(edit.seal(keyring), store)
    emit_plan(edit.actions, output=output)


@app.command()
def publish(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A prepared release: manifest.json and payloads.")],
    *,
    repository: RepositoryOption = None,
    keys: KeysOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Publish a version. It never changes afterwards.

    Nodes take it once a channel points to it, or when they are told to.
    """
    release, files = read_prepared(folder)
    change(
        lambda edit: publish_in(edit, release, files),
        repository=repository,
        keys=keys,
        dry_run=dry_run,
        output=output,
    )


@app.command()
def promote(
    version: VersionArgument,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="MINOR/NAME, such as 1.37/stable.")],
    *,
    allow_rollback: Annotated[bool, typer.Option("--allow-rollback", help="Let the channel move back.")] = False,
    repository: RepositoryOption = None,
    keys: KeysOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Point a channel to a version. Channels move forward only."""
    change(
        lambda edit: promote_in(edit, channel, version, allow_rollback=allow_rollback),
        repository=repository,
        keys=keys,
        dry_run=dry_run,
        output=output,
    )


@app.command()
def withdraw(
    version: VersionArgument,
    *,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="What is wrong with it; nodes show it.")],
    repository: RepositoryOption = None,
    keys: KeysOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Mark a version as not to be installed. Nodes refuse it."""
    change(
        lambda edit: withdraw_in(edit, version, reason),
        repository=repository,
        keys=keys,
        dry_run=dry_run,
        output=output,
    )


@app.command()
def refresh(
    roles: Annotated[
        list[str] | None, typer.Argument(metavar="ROLE", help="Other roles to sign anew; a version's by its name.")
    ] = None,
    *,
    repository: RepositoryOption = None,
    keys: KeysOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Sign snapshot and timestamp anew, before they expire.

    Run it every day: nodes refuse a repository whose timestamp has expired.
    """
    change(lambda edit: refresh_in(edit, roles or ()), repository=repository, keys=keys, dry_run=dry_run, output=output)


app.command(name="list")(list_releases)
app.command()(show)
app.command()(verify)
app.command()(rotate)
app.command()(bundle)
app.command()(serve)
