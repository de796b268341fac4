"""What has to be built, why, and how much of it at once. Values in, a plan out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bedplate.image.components.catalogue import Component
from bedplate.image.components.state import Entry, State
from bedplate.model.plans import Action, Verb

JOB_BYTES = 3_000_000_000
"""What one `go build` of the largest component took at its peak, with two processes; so a process is half of it."""
JOBS_AT_MOST = 2
"""One `go build` keeps every core busy by itself; a second one fills the gaps while the first one links."""
TOOLCHAIN_SECONDS = 25.0


@dataclass(frozen=True, slots=True)
class Build:
    """One component to build."""

    component: Component
    reason: str


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """`actions` is what people read; `builds` are the components to build, longest first.

    `jobs` of them run side by side, each with `processes` processes.
    """

    actions: tuple[Action, ...]
    builds: tuple[Build, ...]
    jobs: int
    processes: int


def make_plan(
    components: Sequence[Component],
    entries: Mapping[str, Entry],
    *,
    toolchain: str,
    toolchain_there: bool,
    memory: int,
    cores: int,
) -> BuildPlan:
    """Decide for each component; `entries` is what the cache holds by component, `memory` is in bytes."""
    decided = [(component, build_action(component, entries[component.name], toolchain)) for component in components]
    wanted = [Build(component, action.reason) for component, action in decided if action.runs]
    builds = sorted(wanted, key=lambda build: (-build.component.seconds, build.component.name))
    jobs, processes = share(memory, cores, len(builds))
    fetch = toolchain_action(toolchain, there=toolchain_there, needed=bool(builds))
    return BuildPlan(
        actions=(fetch, *(action for _, action in decided)),
        builds=tuple(builds),
        jobs=jobs,
        processes=processes,
    )


def toolchain_action(toolchain: str, *, there: bool, needed: bool) -> Action:
    name = f"Get Go {toolchain}"
    if there:
        return Action(name, Verb.SKIP, "already there")
    if not needed:
        return Action(name, Verb.SKIP, "nothing to build")
    return Action(name, Verb.RUN, "components are built with exactly this version", TOOLCHAIN_SECONDS)


def build_action(component: Component, entry: Entry, toolchain: str) -> Action:
    name = f"Build {component.name} {component.version}"
    if entry.state is State.WHOLE:
        return Action(name, Verb.SKIP, "unchanged")
    return Action(name, Verb.RUN, _why(component, entry, toolchain), component.seconds)


def share(memory: int, cores: int, builds: int) -> tuple[int, int]:
    """Jobs side by side, and processes in each, so that all of them fit into `memory`; at least one of each."""
    jobs = max(1, min(JOBS_AT_MOST, cores, memory // JOB_BYTES, builds))
    processes = max(1, min(cores, memory // jobs // (JOB_BYTES // 2)))
    return jobs, processes


def _why(component: Component, entry: Entry, toolchain: str) -> str:
    before = entry.previous
    if entry.state is State.DAMAGED:
        return f"corrupt cache entry: {entry.detail}"
    if before is None:
        return "not built before"
    if before.version != component.version:
        return f"{before.version} was built before"
    if before.toolchain != toolchain:
        return f"built with Go {before.toolchain} before"
    return "checksums, flags or C libraries changed"
