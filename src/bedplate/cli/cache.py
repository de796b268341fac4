"""`bedplate cache`: what was built and fetched on this computer, and room for more."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bedplate.cli.components import CHECKOUT, RootOption
from bedplate.cli.context import places, report, say
from bedplate.cli.image import recipe_version
from bedplate.cli.output import OutputFormat, OutputOption, emit
from bedplate.cli.sections import size
from bedplate.host.clock import SystemClock
from bedplate.host.places import Places
from bedplate.host.processes import files_in_use
from bedplate.host.run import SystemRunner
from bedplate.image.cache.plan import Facts, Kind, Verdict, make_plan
from bedplate.image.cache.remove import locks_of, made_now, nobody_makes, remove
from bedplate.image.cache.survey import survey
from bedplate.image.cache.wanted import wanted_by
from bedplate.image.recipe import require_whole
from bedplate.local.leaning import leaning
from bedplate.model.errors import UserError

app = typer.Typer(help="What was built and fetched on this computer.", no_args_is_help=True, rich_markup_mode=None)

KindsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="KIND", help="images, tools, components ...; all if none is named.")
]
COLUMNS = {"Name": "name", "Size": "space", "Age": "age", "What": "about", "Why": "why"}


class Kept(msgspec.Struct, frozen=True):
    """One thing in the cache: `size` in bytes, `made` when; `then` is `keep` or `remove`."""

    name: str
    kind: Kind
    size: int
    made: datetime
    age: str
    about: str
    then: str
    why: str

    @property
    def space(self) -> str:
        return size(self.size)


@app.command(name="list")
def list_cache(
    kinds: KindsArgument = None, *, root: RootOption = CHECKOUT, output: OutputOption = OutputFormat.table
) -> None:
    """Show what is in the cache, what `prune` would do with it, and why."""
    plan = look_through(chosen(kinds), root, busy=made_now(locks()), everything=False)
    emit(rows(plan, SystemClock().now()), output=output, columns=COLUMNS | {"Then": "then"})
    going = sum(each.entry.size for each in plan if not each.stays)
    whole = sum(each.entry.size for each in plan)
    say(f"{size(whole)} in all, of which `bedplate cache prune` frees {size(going)}.")


@app.command()
def prune(
    kinds: KindsArgument = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="What can be made again too, unless something leans on it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be removed, and why.")] = False,
    root: RootOption = CHECKOUT,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Remove what nothing here needs, and print what that was.

    What a machine's disk leans on, what a program has open and what is being
    made stays in any case; so does the newest of each, unless all is to go.
    """
    held = nullcontext(made_now(locks())) if dry_run else nobody_makes(locks())
    with held as busy:
        plan = look_through(chosen(kinds), root, busy=busy, everything=everything)
        going = [verdict for verdict in plan if not verdict.stays]
        if not dry_run:
            remove(going, report())
    emit(rows(going, SystemClock().now()), output=output, columns=COLUMNS)
    freed = size(sum(verdict.entry.size for verdict in going))
    say(f"{freed} {'would be' if dry_run else 'are'} free again.")


def chosen(names: Collection[str] | None) -> Collection[Kind]:
    """The kinds named, all of them for none."""
    unknown = sorted(set(names or ()) - set(Kind))
    if unknown:
        raise UserError(f"The cache has no {', '.join(unknown)}.", details=f"It has {', '.join(Kind)}.")
    return [Kind(name) for name in names or Kind]


def own() -> Places:
    """Places without links on the way, as the kernel names what programs have open."""
    return Places(places().cache.resolve(), places().state.resolve())


def locks() -> Mapping[Path, tuple[Kind, ...]]:
    clusters = own().state / "clusters"
    return locks_of(own().cache, [folder.with_name(f"{folder.name}.lock") for folder in clusters.glob("*/")])


def look_through(
    kinds: Collection[Kind], root: Path, *, busy: Mapping[Kind, str], everything: bool
) -> tuple[Verdict, ...]:
    """The verdict on everything in the cache, for the checkout `root`."""
    require_whole(root / "os")
    cache = own().cache
    wanted = wanted_by(root, recipe_version(root), places=own(), runner=SystemRunner())
    used = {**files_in_use(cache), **leaning(own().state / "clusters")}
    facts = Facts(SystemClock().now(), used, wanted, busy)
    return make_plan(survey(cache, wanted, kinds), facts, everything=everything)


def rows(plan: Sequence[Verdict], now: datetime) -> list[Kept]:
    return [
        Kept(
            name=each.entry.name,
            kind=each.entry.kind,
            size=each.entry.size,
            made=each.entry.made,
            age=age(now - each.entry.made),
            about=each.entry.about,
            then="keep" if each.stays else "remove",
            why=each.reason,
        )
        for each in plan
    ]


def age(passed: timedelta) -> str:
    """In the largest unit of which there is one: 3 d, 5 h, 20 min."""
    minutes = max(0, int(passed.total_seconds() // 60))
    for count, unit in ((minutes // 1440, "d"), (minutes // 60, "h")):
        if count:
            return f"{count} {unit}"
    return f"{minutes} min"
