"""What `bedplate cluster up` is going to do, and how long that takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import indent

from bedplate.cli.context import places
from bedplate.cli.image import plan, recipe_version
from bedplate.cli.output import as_table
from bedplate.cli.plans import planned
from bedplate.cli.progress import duration
from bedplate.host.clock import SystemClock
from bedplate.host.run import SystemRunner
from bedplate.image.components.build import make_order, programs_of
from bedplate.image.recipe import tools_lock
from bedplate.image.tools import tools_place
from bedplate.local.joined import kept_releases
from bedplate.local.machines.kvm import Acceleration
from bedplate.local.pools import up
from bedplate.local.pools.up import Draft, find_standing
from bedplate.model.plans import Action

INDENT = "  "


def plan_up(
    root: Path,
    folder: Path,
    *,
    nodes: int | None,
    acceleration: Acceleration,
    joining: bool = False,
    releases: Path | None = None,
) -> tuple[Action, ...]:
    """Every step with its reason and what it is expected to take; nothing is changed.

    `joining` tells that the control plane is somebody else's.
    """
    runner, clock = SystemRunner(), SystemClock()
    built = plan(root, role=None)
    components = make_order(None, root=root, places=places(), runner=runner)
    versions = {component.name: component.version for component in components.components}
    draft = Draft(
        programs=programs_of(components, None),
        debian=tools_place(root / "os", tools_lock(root / "os"), places()),
        built=not any(step.runs for step in built),
        image_version=str(recipe_version(root)),
        kubernetes=versions["kubernetes"],
        coredns=versions["coredns"].removeprefix("v"),
        accelerator=acceleration.kind,
        releases=releases or kept_releases(folder),
        joined=joining,
        nodes=nodes,
    )
    standing = find_standing(folder, runner=runner, clock=clock)
    return (*built, *up.plan_up(draft, folder, standing, runner=runner, clock=clock))


def told(steps: Sequence[Action], *, width: int | None = None) -> str:
    """The steps that take their time, for people, with the whole time; the others are counted.

    Lines stay within `width` where there is one.
    """
    running = [step for step in steps if step.runs]
    done = f"{len(steps) - len(running)} of {len(steps)} steps are done already"
    if not running:
        return f"Nothing to do: {done}.\n"
    long = [step for step in running if step.seconds]
    short = f"short steps, which --dry-run lists: {len(running) - len(long)}"
    if not long:
        return f"To do ({done}): {short}.\n"
    total = duration(sum(step.seconds for step in long)).strip()
    columns = {"Step": "action", "Takes": "takes", "Why": "reason"}
    table = indent(as_table(planned(long), columns, width=width and width - len(INDENT)), INDENT)
    rest = f"  and {short}\n" if len(long) < len(running) else ""
    return f"To do, some {total} on two cores ({done}):\n\n{table}{rest}"
