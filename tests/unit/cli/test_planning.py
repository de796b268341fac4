"""The plan of `bedplate cluster up` as people read it."""

from __future__ import annotations

from bedplate.cli.image import PlannedStep
from bedplate.cli.planning import told
from bedplate.model.plans import Verb

DONE = PlannedStep("Image", Verb.SKIP, "unchanged", 0)


def test_what_runs_is_listed_with_its_time_and_what_is_done_is_counted() -> None:
    steps = [
        PlannedStep("Build etcd v3.6.5", Verb.RUN, "not built before", 60.0),
        DONE,
        PlannedStep("Control plane", Verb.RUN, "it does not run", 8.0),
    ]
    assert told(steps) == (
        "To do, some 1:08 min on two cores (1 of 3 steps are done already):\n\n"
        "  Step               Seconds  Why\n"
        "  Build etcd v3.6.5  60.0     not built before\n"
        "  Control plane      8.0      it does not run\n"
    )


def test_nothing_to_do_is_said() -> None:
    assert told([DONE]) == "Nothing to do: 1 of 1 steps are done already.\n"
