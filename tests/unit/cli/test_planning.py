"""The plan of `bedplate cluster up` as people read it."""

from __future__ import annotations

from bedplate.cli.planning import told
from bedplate.model.plans import Action, Verb

DONE = Action("Image", Verb.SKIP, "unchanged")
SHORT = Action("process etcd", Verb.RUN, "it does not run")
LONG = (
    Action("Build etcd v3.6.5", Verb.RUN, "not built before", 60.0),
    DONE,
    Action("control plane answers", Verb.RUN, "its processes are started", 8.0),
)
TABLE = (
    "  Step                   Takes     Why\n"
    "  Build etcd v3.6.5      1:00 min  not built before\n"
    "  control plane answers  8.0 s     its processes are started\n"
)


def test_what_runs_is_listed_with_its_time_and_what_is_done_is_counted() -> None:
    assert told(LONG) == f"To do, some 1:08 min on two cores (1 of 3 steps are done already):\n\n{TABLE}"


def test_what_takes_no_time_is_counted_too() -> None:
    rest = "  and short steps, which --dry-run lists: 1\n"
    assert (
        told((*LONG, SHORT)) == f"To do, some 1:08 min on two cores (1 of 4 steps are done already):\n\n{TABLE}{rest}"
    )
    assert told([SHORT]) == "To do (0 of 1 steps are done already): short steps, which --dry-run lists: 1.\n"


def test_nothing_to_do_is_said() -> None:
    assert told([DONE]) == "Nothing to do: 1 of 1 steps are done already.\n"
