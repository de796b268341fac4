"""What is built, in which order, how much at once, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bedplate.image.components.catalogue import CgoText, Component, Role, Tool
from bedplate.image.components.keys import content_key
from bedplate.image.components.plan import BuildPlan, make_plan, share
from bedplate.image.components.state import Entry, Receipt, State
from bedplate.model.plans import Action, Verb

GB = 10**9
HULL = Tool("hull", "e.dev/ship/hull", "hull", Role.IMAGE, "floats")
SHIP = Component(
    name="ship",
    folder=Path("components/ship"),
    module="e.dev/ship",
    version="v1.2.3",
    why="a ship",
    seconds=60,
    tools=(HULL,),
    flags=("-trimpath",),
    cgo=None,
    lock={"go.mod": "m", "go.sum": "s"},
)
BOAT = replace(SHIP, name="boat", seconds=5)
WHOLE = Entry(State.WHOLE, Path("there"))
NOTHING = Entry(State.MISSING, Path("there"))


def plan(*, ship: Entry = WHOLE, boat: Entry = WHOLE, go: bool = True) -> BuildPlan:
    return make_plan(
        (BOAT, SHIP),
        {"ship": ship, "boat": boat},
        toolchain="1.26.8",
        toolchain_there=go,
        memory=16 * GB,
        cores=2,
    )


def before(version: str = "v1.2.3", toolchain: str = "1.26.8") -> Entry:
    return replace(NOTHING, previous=Receipt("ship", version, toolchain, "key", 1.0, {}))


def test_nothing_is_done_when_everything_is_there() -> None:
    assert plan().actions == (
        Action("Get Go 1.26.8", Verb.SKIP, "already there"),
        Action("Build boat v1.2.3", Verb.SKIP, "unchanged"),
        Action("Build ship v1.2.3", Verb.SKIP, "unchanged"),
    )


def test_no_toolchain_is_fetched_when_nothing_is_built() -> None:
    assert plan(go=False).actions[0] == Action("Get Go 1.26.8", Verb.SKIP, "nothing to build")


def test_from_nothing_everything_is_done_with_the_time_it_takes() -> None:
    assert plan(ship=NOTHING, boat=NOTHING, go=False).actions == (
        Action("Get Go 1.26.8", Verb.RUN, "components are built with exactly this version", 25.0),
        Action("Build boat v1.2.3", Verb.RUN, "not built before", 5),
        Action("Build ship v1.2.3", Verb.RUN, "not built before", 60),
    )


def test_the_longest_build_starts_first() -> None:
    assert [build.component.name for build in plan(ship=NOTHING, boat=NOTHING).builds] == ["ship", "boat"]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (NOTHING, "not built before"),
        (before("v1.2.2"), "v1.2.2 was built before"),
        (before(toolchain="1.26.7"), "built with Go 1.26.7 before"),
        (before(), "checksums, flags or C libraries changed"),
        (Entry(State.DAMAGED, Path("there"), "bin/hull differs"), "corrupt cache entry: bin/hull differs"),
    ],
)
def test_a_build_says_why(entry: Entry, reason: str) -> None:
    assert plan(ship=entry).builds[0].reason == reason


@pytest.mark.parametrize(
    ("memory", "cores", "builds", "jobs", "processes"),
    [
        (1 * GB, 2, 6, 1, 1),
        (4 * GB, 2, 6, 1, 2),
        (16 * GB, 2, 6, 2, 2),
        (8 * GB, 8, 6, 2, 2),
        (64 * GB, 16, 6, 2, 16),
        (64 * GB, 16, 1, 1, 16),
        (64 * GB, 1, 6, 1, 1),
    ],
)
def test_work_is_shared_out_within_memory_and_cores(
    memory: int, cores: int, builds: int, jobs: int, processes: int
) -> None:
    assert share(memory, cores, builds) == (jobs, processes)


def key(component: Component = SHIP, toolchain: str = "t", c_side: str = "") -> str:
    return content_key(component, toolchain=toolchain, c_side=c_side)


@pytest.mark.parametrize(
    "other",
    [
        key(replace(SHIP, lock={"go.mod": "m2", "go.sum": "s"})),
        key(replace(SHIP, lock={"go.mod": "m", "go.sum": "s2"})),
        key(replace(SHIP, flags=("-trimpath", "-tags=x"))),
        key(replace(SHIP, tools=(replace(HULL, name="keel"),))),
        key(replace(SHIP, cgo=CgoText((), ()))),
        key(toolchain="t2"),
        key(c_side="gcc 14"),
    ],
    ids=["go.mod", "go.sum", "flags", "tool name", "cgo", "toolchain", "C side"],
)
def test_whatever_can_change_the_bytes_changes_the_key(other: str) -> None:
    assert other != key()


def test_words_for_people_do_not_change_the_key() -> None:
    told = replace(HULL, why="keeps the water out", role=Role.CLUSTER)
    assert key(replace(SHIP, why="another", seconds=1, folder=Path("elsewhere"), tools=(told,))) == key()
