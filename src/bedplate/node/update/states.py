"""The states of a node on its way to another version, as one literal table. Whatever is not in it is an error.

A state says what may be true of the disk; an event says what was found or done. The agent writes a state down before
it does what belongs to it, so that after a crash at any instruction the step is done again.
"""

from __future__ import annotations

from enum import StrEnum

from bedplate.model.errors import OurError


class State(StrEnum):
    IDLE = "Idle"
    """What runs is what is wanted, as far as is known."""
    CLEARING = "Clearing"
    """The other version's UKI is taken from the ESP: the loader can choose only what runs."""
    WRITING = "Writing"
    """/usr is written into the slot that does not run."""
    SEALING = "Sealing"
    """Its hash tree and signature are written, then its identity."""
    INSTALLING = "Installing"
    """Its UKI is written, and armed by the last write."""
    STAGED = "Staged"
    """The next boot tries the new version; leave to reboot is asked for."""
    REBOOTING = "Rebooting"
    """Leave was given and the reboot asked for."""
    TRYING = "Trying"
    """The new version runs and is being judged."""
    GOOD = "Good"
    """It passed and is blessed; the version before is kept in the other slot."""
    FAILED = "Failed"
    """It was judged not to work, while it runs: the node reboots into the other one, where that is whole."""
    ROLLING_BACK = "RollingBack"
    """Somebody told the node to go back: the loader is told to choose the other version, and leave is asked for."""
    RETURNING = "Returning"
    """Leave was given and the reboot into the other version asked for."""
    ROLLED_BACK = "RolledBack"
    """The version from before runs again; why is remembered."""
    DROPPING = "Dropping"
    """What was staged is no longer wanted: its UKI is taken from the ESP."""


class Event(StrEnum):
    WANTED = "wanted"
    """Another version is wanted, and nothing speaks against it."""
    CLEARED = "cleared"
    WRITTEN = "written"
    SEALED = "sealed"
    INSTALLED = "installed"
    LEAVE_GIVEN = "leave given"
    NOT_WANTED = "not wanted"
    """What is being installed is not, or no longer, to be installed."""
    NEW_RUNS = "new version runs"
    """A boot into the version that was installed."""
    OLD_RUNS = "old version runs"
    """A boot into the version from before, of which the loader has given up the new one."""
    BLESSED = "blessed"
    JUDGED_BAD = "judged bad"
    GO_BACK = "go back"
    """Somebody asked for the version in the other slot."""
    NOT_WHOLE = "other version not whole"
    """What was to be gone back to cannot be booted any more."""


S, E = State, Event
RESTING = (S.IDLE, S.GOOD, S.ROLLED_BACK)
"""States in which nothing is under way."""
TABLE: dict[tuple[State, Event], State] = {
    (S.IDLE, E.WANTED): S.CLEARING,
    (S.GOOD, E.WANTED): S.CLEARING,
    (S.ROLLED_BACK, E.WANTED): S.CLEARING,
    (S.CLEARING, E.CLEARED): S.WRITING,
    (S.WRITING, E.WRITTEN): S.SEALING,
    (S.SEALING, E.SEALED): S.INSTALLING,
    (S.INSTALLING, E.INSTALLED): S.STAGED,
    (S.STAGED, E.LEAVE_GIVEN): S.REBOOTING,
    # Until the UKI is armed, giving up leaves nothing that could boot.
    (S.CLEARING, E.NOT_WANTED): S.IDLE,
    (S.WRITING, E.NOT_WANTED): S.IDLE,
    (S.SEALING, E.NOT_WANTED): S.IDLE,
    (S.INSTALLING, E.NOT_WANTED): S.DROPPING,
    (S.STAGED, E.NOT_WANTED): S.DROPPING,
    (S.DROPPING, E.CLEARED): S.IDLE,
    # Somebody may start the version that is being installed from the loader's menu: where its slot still has it.
    (S.CLEARING, E.NEW_RUNS): S.TRYING,
    (S.WRITING, E.NEW_RUNS): S.TRYING,
    (S.SEALING, E.NEW_RUNS): S.TRYING,
    # The power may go between arming the UKI and writing down that it is armed, and before leave is given.
    (S.INSTALLING, E.NEW_RUNS): S.TRYING,
    (S.STAGED, E.NEW_RUNS): S.TRYING,
    (S.REBOOTING, E.NEW_RUNS): S.TRYING,
    (S.DROPPING, E.NEW_RUNS): S.TRYING,
    (S.INSTALLING, E.OLD_RUNS): S.ROLLED_BACK,
    (S.STAGED, E.OLD_RUNS): S.ROLLED_BACK,
    (S.REBOOTING, E.OLD_RUNS): S.ROLLED_BACK,
    (S.DROPPING, E.OLD_RUNS): S.ROLLED_BACK,
    (S.TRYING, E.OLD_RUNS): S.ROLLED_BACK,
    (S.FAILED, E.OLD_RUNS): S.ROLLED_BACK,
    (S.TRYING, E.BLESSED): S.GOOD,
    (S.TRYING, E.JUDGED_BAD): S.FAILED,
    # The reboot did not come about, or another boot of it was judged otherwise.
    (S.FAILED, E.BLESSED): S.GOOD,
    (S.IDLE, E.GO_BACK): S.ROLLING_BACK,
    (S.GOOD, E.GO_BACK): S.ROLLING_BACK,
    (S.ROLLED_BACK, E.GO_BACK): S.ROLLING_BACK,
    (S.ROLLING_BACK, E.NOT_WHOLE): S.IDLE,
    (S.ROLLING_BACK, E.LEAVE_GIVEN): S.RETURNING,
    (S.ROLLING_BACK, E.OLD_RUNS): S.ROLLED_BACK,
    (S.RETURNING, E.OLD_RUNS): S.ROLLED_BACK,
    # The other one did not boot, and the loader went on with what had been running.
    (S.ROLLING_BACK, E.NEW_RUNS): S.GOOD,
    (S.RETURNING, E.NEW_RUNS): S.GOOD,
}


def after(state: State, event: Event) -> State:
    """The state that follows. Raises `OurError` for what the table does not have."""
    if (state, event) not in TABLE:
        raise OurError(f"A node that is {state} cannot be told {event!r}.", details="The table of states has no entry.")
    return TABLE[state, event]


def as_table() -> str:
    """The table as a page shows it (Markdown)."""
    rows = [f"| {state} | {event} | {following} |" for (state, event), following in TABLE.items()]
    return "\n".join(["| state | event | then |", "|---|---|---|", *rows]) + "\n"


def as_diagram() -> str:
    """The table as a diagram (Mermaid, stateDiagram-v2)."""
    rows = [f"    {state} --> {following}: {event}" for (state, event), following in TABLE.items()]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {State.IDLE}", *rows]) + "\n"
