"""What `bedplate cluster up` is going to do, and how long that takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import indent

from bedplate.cli.image import PlannedStep, plan
from bedplate.cli.output import as_table
from bedplate.cli.progress import duration
from bedplate.local.cell.client import find_cell
from bedplate.local.machines.kvm import Acceleration
from bedplate.local.machines.qemu import Accelerator
from bedplate.local.pools.store import read_pools
from bedplate.model.plans import Verb

CONTROL_PLANE_SECONDS = 8.0
BOOT_SECONDS = {Accelerator.KVM: 20.0, Accelerator.TCG: 40.0}
"""From power-on to Ready for one node on two cores; emulated ones wait for each other."""


def plan_up(
    root: Path, folder: Path, *, nodes: int, acceleration: Acceleration, joining: bool = False
) -> list[PlannedStep]:
    """Every step with its reason and what it is expected to take, in seconds; nothing is changed.

    `joining` tells that the control plane is somebody else's.
    """
    up = find_cell(folder / "cell") is not None
    pools = read_pools(folder / "pools")
    count = sum(pool.count for pool in pools) if pools else nodes
    if up:
        plane = PlannedStep("Control plane", Verb.SKIP, "it runs", 0)
        machines = PlannedStep(f"Nodes: {count}", Verb.SKIP, "those that run are used", 0)
    else:
        each = BOOT_SECONDS[acceleration.kind]
        seconds = count * each if acceleration.kind is Accelerator.TCG else each
        plane = PlannedStep("Control plane", Verb.RUN, "it does not run", CONTROL_PLANE_SECONDS)
        if joining:
            plane = PlannedStep("Control plane", Verb.SKIP, "machines join one that is not ours", 0)
        machines = PlannedStep(f"Nodes: {count}", Verb.RUN, f"machines run by {acceleration.kind.value}", seconds)
    return [*plan(root, role=None), plane, machines]


def told(steps: Sequence[PlannedStep]) -> str:
    """The steps that run, for people, with the whole time; those that are skipped are counted."""
    running = [step for step in steps if step.verb is Verb.RUN]
    done = f"{len(steps) - len(running)} of {len(steps)} steps are done already"
    if not running:
        return f"Nothing to do: {done}.\n"
    total = duration(sum(step.seconds for step in running)).strip()
    table = as_table(running, {"Step": "action", "Seconds": "seconds", "Why": "reason"})
    return f"To do, some {total} on two cores ({done}):\n\n" + indent(table, "  ")
