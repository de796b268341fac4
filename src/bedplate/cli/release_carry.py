"""`bedplate release bundle` and `serve`: how a repository gets to machines."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from bedplate.cli.context import environment
from bedplate.cli.output import OutputFormat, OutputOption
from bedplate.cli.plans import DryRunOption
from bedplate.cli.release_options import (
    KeysOption,
    Ordered,
    RepositoryOption,
    in_turn,
    store_of,
)
from bedplate.host.clock import SystemClock
from bedplate.host.serve import server
from bedplate.model.errors import UserError
from bedplate.model.plans import Action, Verb
from bedplate.release.publish.bundle import make_bundle, plan_bundle
from bedplate.release.publish.edit import Edit
from bedplate.release.publish.keys import Keyring
from bedplate.release.publish.shown import Shown, read_shown


def bundle(
    wanted: Annotated[list[str], typer.Argument(metavar="VERSION|CHANNEL", help="What is to be in it.")],
    *,
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="The file to write.")],
    days: Annotated[int, typer.Option("--days", metavar="DAYS", min=1, help="How long nodes accept it.")] = 90,
    repository: RepositoryOption = None,
    keys: KeysOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Write versions into one file, for machines without a network.

    Nodes check it as they check a server. It takes one version of the timestamp
    for itself, so the keys of snapshot and timestamp are needed.
    """
    ordered = Ordered(repository, keys, dry_run, output)
    store = ordered.store
    with in_turn(store, dry_run=dry_run):
        keyring = Keyring([] if dry_run else ordered.folders, environment())
        shown = read_shown(store)
        edit = Edit(shown, SystemClock().now(), keyring.days)
        versions = versions_of(shown, wanted)
        until = edit.now + timedelta(days=days)
        plan_bundle(edit, versions, until)
        if not dry_run:
            make_bundle(edit, versions, until, keyring=keyring, store=store, file=file)
    last = Action(f"Write {file}", Verb.RUN, f"holds {', '.join(versions)} until {until:%Y-%m-%d}")
    ordered.emit((*edit.actions, last))


def versions_of(shown: Shown, wanted: list[str]) -> list[str]:
    """What is wanted, with channels replaced by where they point."""
    channels = {channel.name: channel.version for channel in shown.channels}
    for each in wanted:
        if "/" in each and each not in channels:
            known = ", ".join(channels) or "none"
            raise UserError(f"There is no channel {each}.", details=f"There is {known}.")
    return list(dict.fromkeys(channels.get(each, each) for each in wanted))


def serve(
    *,
    address: Annotated[str, typer.Option("--address", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0 takes a free one.")] = 8080,
    repository: RepositoryOption = None,
) -> None:
    """Serve a repository over plain HTTP, for development.

    Any web server will do as well: the files are static. Prints its URL, then
    a line for each answer in the Common Log Format.
    """
    store = store_of(repository)
    read_shown(store)
    with server(store.folder, address, port, log=_print) as opened:
        _print(f"http://{address}:{opened.server_address[1]}/")
        opened.serve_forever()


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
