"""`bedplate release`: the repository that nodes get their releases from."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bedplate.cli.components import CHECKOUT, RootOption
from bedplate.cli.context import environment, places, report, say
from bedplate.cli.output import OutputFormat, OutputOption
from bedplate.cli.plans import DryRunOption
from bedplate.cli.release_carry import bundle, serve
from bedplate.cli.release_image import Making, make_release, making_of
from bedplate.cli.release_keys import rotate
from bedplate.cli.release_options import (
    DeltasOption,
    KeysOption,
    MinimumOption,
    NotesOption,
    Ordered,
    RepositoryOption,
    VersionArgument,
    change,
    store_of,
)
from bedplate.cli.release_payloads import DELTAS
from bedplate.cli.release_show import list_releases, show, verify
from bedplate.host.clock import SystemClock
from bedplate.image.stock import find_image
from bedplate.model.errors import UserError
from bedplate.model.plans import Action, Verb
from bedplate.model.versions import ImageVersion
from bedplate.release.publish.changes import begin
from bedplate.release.publish.changes import promote as promote_in
from bedplate.release.publish.changes import publish as publish_in
from bedplate.release.publish.changes import withdraw as withdraw_in
from bedplate.release.publish.edit import carry_out
from bedplate.release.publish.keys import FILE, Keyring, make_keys
from bedplate.release.publish.prepared import is_prepared, read_prepared
from bedplate.release.publish.renewal import refresh as refresh_in
from bedplate.release.publish.roles import ROOT, RULES, TIMESTAMP
from bedplate.release.publish.store import FolderStore
from bedplate.release.trust.layout import TIMESTAMP_FILE, metadata_file

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
    folder with keys.json is used as it is; else keys are made there. Move those
    of root and targets away afterwards: they are needed to exchange keys, and
    once a year.
    """
    store = store_of(repository)
    if store.read(TIMESTAMP_FILE) is not None:
        raise UserError(f"{store.folder} is a release repository already.")
    ordered = Ordered(repository, [keys] if keys else None, dry_run, output)
    (folder,) = ordered.folders
    first = plan_keys(folder)
    if first.runs and not dry_run:
        make_keys(folder)
    keyring = Keyring([folder] if (folder / FILE).exists() else [], environment())
    edit = begin(keyring, SystemClock().now())
    if not dry_run:
        carry_out(edit.seal(keyring), store)
    ordered.emit((first, *edit.actions))
    if not dry_run:
        say(
            f"\nIts keys lie in {folder}. Move root-*.pem and targets-1.pem away from there, each to a place of\n"
            f"its own with a copy of {FILE}: they are needed to exchange keys, and once a year.\n"
            "Nodes trust the repository if their image was built with\n"
            f"`bedplate image build --trust {store.folder / metadata_file(ROOT, 1)}`.\n"
            f"Next, publish one: bedplate release publish{ordered.options}"
        )


def plan_keys(folder: Path) -> Action:
    if (folder / FILE).exists():
        return Action(f"Use the keys in {folder}", Verb.SKIP, f"{FILE} is there")
    count = sum(rule.keys for rule in RULES.values())
    return Action(f"Make {count} keys in {folder}", Verb.RUN, f"there is no {FILE}")


@app.command()
def prepare(
    image: Annotated[
        str | None, typer.Argument(metavar="IMAGE", help="A folder or a version.", show_default="the newest")
    ] = None,
    *,
    folder: Annotated[
        Path, typer.Option("--folder", metavar="FOLDER", help="The folder to make: manifest.json and payloads.")
    ],
    notes: NotesOption = None,
    minimum: MinimumOption = "",
    deltas: DeltasOption = DELTAS,
    repository: RepositoryOption = None,
    root: RootOption = CHECKOUT,
) -> None:
    """Make the payloads of an image, for publishing elsewhere.

    It takes minutes and no key; publishing takes keys and no time.
    """
    making = making_of(root, notes=notes, minimum=minimum)
    make_release(find_image(image, places()), folder, making, store_of(repository), report(), deltas=deltas)


@app.command()
def publish(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="IMAGE", help="An image's folder or version, or a prepared folder.", show_default="the newest image"
        ),
    ] = None,
    *,
    notes: NotesOption = None,
    minimum: MinimumOption = "",
    deltas: DeltasOption = DELTAS,
    root: RootOption = CHECKOUT,
    repository: RepositoryOption = None,
    keys: KeysOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Publish a version. It never changes afterwards.

    Nodes take it once a channel points to it, or when they are told to.
    """
    making = partial(making_of, root, notes=notes, minimum=minimum)
    if what and is_prepared(Path(what)) and (notes or minimum or deltas != DELTAS):
        raise UserError(
            f"{what} is prepared already.", resolution="Give --notes, --minimum and --deltas to `release prepare`."
        )
    with prepared(what, store_of(repository), making, deltas=deltas) as folder:
        release, files = read_prepared(folder)
        ordered = Ordered(repository, keys, dry_run, output)
        done = change(lambda edit: publish_in(edit, release, files), ordered)
    if done:
        channel = f"{ImageVersion.parse(release.version).kubernetes}/stable"
        command = f"bedplate release promote {release.version} {channel}{ordered.options}"
        say(f"\nNodes take it once a channel points to it: {command}")


@contextmanager
def prepared(what: str | None, store: FolderStore, making: Callable[[], Making], *, deltas: int) -> Iterator[Path]:
    """The folder of a prepared release, which is gone afterwards if it was made here."""
    if what and is_prepared(Path(what)):
        yield Path(what)
        return
    image = find_image(what, places())
    (places().cache / "payloads").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=places().cache / "payloads", prefix=".release.") as scratch:
        folder = Path(scratch) / "release"
        make_release(image, folder, making(), store, report(), deltas=deltas)
        yield folder


@app.command()
def promote(
    version: VersionArgument,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="MINOR/NAME, such as 1.37/stable.")],
    *,
    allow_rollback: Annotated[
        bool, typer.Option("--allow-rollback", help="Let the channel move back; nodes do not follow.")
    ] = False,
    repository: RepositoryOption = None,
    keys: KeysOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Point a channel to a version. Channels move forward only.

    A channel that is moved back takes no node back: tell each of them with
    `bedplate node update NAME --version VERSION`.
    """
    ordered = Ordered(repository, keys, dry_run, output)
    change(lambda edit: promote_in(edit, channel, version, allow_rollback=allow_rollback), ordered)


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
    """Mark a version as not to be installed, for good. Nodes refuse it."""
    pointing: list[str] = []
    ordered = Ordered(repository, keys, dry_run, output)
    if change(lambda edit: pointing.extend(withdraw_in(edit, version, reason)), ordered) and pointing:
        say(f"\nNodes that follow {', '.join(pointing)} take nothing until another version is promoted there.")


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
    done = change(lambda edit: refresh_in(edit, roles or ()), Ordered(repository, keys, dry_run, output))
    if done:
        until = f"{done.expiry(TIMESTAMP):%Y-%m-%d %H:%M} UTC"
        say(f"\nNodes accept it until {until}. Run this again before that, best every day.")


app.command(name="list")(list_releases)
app.command()(show)
app.command()(verify)
app.command()(rotate)
app.command()(bundle)
app.command()(serve)
