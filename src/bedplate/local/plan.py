"""What bringing a cluster up does before its machines, piece by piece, and why. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from bedplate.local.addons import MANIFESTS
from bedplate.local.registry import image_action
from bedplate.model.plans import Action, Verb

CONTROL_PLANE_SECONDS = 8.0
"""From the start of its processes until the API server and the controller manager answer."""


def plan_cell(*, is_open: bool) -> Action:
    if is_open:
        return Action("network", Verb.SKIP, "the cell is open")
    return Action("network", Verb.RUN, "the cell is not open")


def plan_processes(names: Iterable[str], running: Collection[str]) -> tuple[Action, ...]:
    """One action for each name, in their order."""
    return tuple(_process(name, runs=name in running) for name in names)


def _process(name: str, *, runs: bool) -> Action:
    if runs:
        return Action(f"process {name}", Verb.SKIP, "it runs")
    return Action(f"process {name}", Verb.RUN, "it does not run")


def plan_answer(processes: Sequence[Action]) -> Action:
    """The wait until a control plane of our own, started with these actions, can be worked with."""
    starting = any(action.runs for action in processes)
    why = "its processes are started" if starting else "its processes run"
    return Action("control plane answers", Verb.RUN, why, CONTROL_PLANE_SECONDS if starting else 0.0)


def plan_addons() -> tuple[Action, ...]:
    """What kubectl is given each time, since it is the one that finds what differs."""
    return tuple(Action(f"add-on {name}", Verb.RUN, "what differs is brought up to date") for name in MANIFESTS)


def plan_unasked(images: Iterable[tuple[str, str]], why: str) -> tuple[Action, ...]:
    """Images by repository and tag, about which the registry cannot be asked before something else is done."""
    return tuple(Action(image_action(*image), Verb.RUN, why) for image in images)
