"""What all commands of `bedplate release` share: where the repository and its keys are, and how a change is made."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bedplate.cli.context import environment, places
from bedplate.cli.output import OutputFormat
from bedplate.cli.plans import emit_done, emit_plan
from bedplate.host.clock import SystemClock
from bedplate.host.locks import alone
from bedplate.model.plans import Action, Verb
from bedplate.release.publish.edit import Edit, carry_out
from bedplate.release.publish.keys import Keyring
from bedplate.release.publish.shown import read_shown
from bedplate.release.publish.store import FolderStore

RepositoryOption = Annotated[
    Path | None,
    typer.Option(
        "--repository",
        metavar="FOLDER",
        envvar="BEDPLATE_REPOSITORY",
        help="Where it lies.",
        show_default="one in the state folder",
    ),
]
KeysOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--keys",
        metavar="FOLDER",
        help="A folder with release keys; more than once for several.",
        show_default="keys beside the repository",
    ),
]
VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="A published version.")]
NotesOption = Annotated[
    Path | None, typer.Option("--notes", metavar="FILE", help="What people should know of it, in Markdown.")
]
DeltasOption = Annotated[
    int, typer.Option("--deltas", metavar="COUNT", min=0, help="How many published versions to make deltas against.")
]
MinimumOption = Annotated[
    str, typer.Option("--minimum", metavar="VERSION", help="The oldest version that may become this one directly.")
]
Change = Callable[[Edit], object]
NOTHING = (Action("Change nothing", Verb.SKIP, "it is so already"),)


def repository_folder(chosen: Path | None) -> Path:
    return chosen or places().state / "release/repository"


def key_folders(chosen: list[Path] | None, repository: Path | None) -> list[Path]:
    """The folders that were named; else the one beside the repository."""
    return chosen or [repository_folder(repository).with_name("keys")]


def store_of(chosen: Path | None) -> FolderStore:
    return FolderStore(repository_folder(chosen))


@dataclass(frozen=True, slots=True)
class Ordered:
    """How a change was ordered: of which repository, with which folders of keys, only to be shown or not, and how."""

    repository: Path | None
    keys: list[Path] | None
    dry_run: bool
    output: OutputFormat

    @property
    def store(self) -> FolderStore:
        return store_of(self.repository)

    @property
    def folders(self) -> list[Path]:
        return key_folders(self.keys, self.repository)

    @property
    def options(self) -> str:
        """What the next command on the same repository has to be given, a space before each."""
        keys = [f" --keys {shlex.quote(str(folder))}" for folder in self.keys or ()]
        return "".join([f" --repository {shlex.quote(str(self.repository))}" if self.repository else "", *keys])

    def emit(self, actions: Sequence[Action]) -> None:
        """Print what was done, or would be."""
        (emit_plan if self.dry_run else emit_done)(actions or NOTHING, output=self.output)


def change(make: Change, ordered: Ordered) -> Edit | None:
    """Plan a change of what the repository shows, carry it out and print it; the change if something was done.

    A dry run needs no keys.
    """
    store = ordered.store
    with in_turn(store, dry_run=ordered.dry_run):
        keyring = Keyring([] if ordered.dry_run else ordered.folders, environment())
        edit = Edit(read_shown(store), SystemClock().now(), keyring.days)
        make(edit)
        if not ordered.dry_run:
            carry_out(edit.seal(keyring), store)
    ordered.emit(edit.actions)
    return edit if edit.actions and not ordered.dry_run else None


def in_turn(store: FolderStore, *, dry_run: bool) -> AbstractContextManager[None]:
    """One change at a time: two would take the same version numbers. A dry run leaves no trace, not even a lock."""
    if dry_run:
        return nullcontext()
    lock = store.folder.with_name(f".{store.folder.name}.lock")
    return alone(lock, doing="changing the release repository")
