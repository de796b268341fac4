"""What the table has not is an error, and nothing in it is a dead end."""

import itertools

import pytest

from bedplate.model.errors import OurError
from bedplate.node.update.states import TABLE, Event, State, after

MISSING = [pair for pair in itertools.product(State, Event) if pair not in TABLE]


@pytest.mark.parametrize(("state", "event"), MISSING)
def test_whatever_is_not_in_the_table_is_an_error(state: State, event: Event) -> None:
    with pytest.raises(OurError, match="cannot be told"):
        after(state, event)


def test_every_state_can_be_entered_and_left() -> None:
    assert {State.IDLE, *TABLE.values()} == {state for state, _ in TABLE} == set(State)


def test_every_event_means_something() -> None:
    assert {event for _, event in TABLE} == set(Event)


def test_only_what_was_judged_becomes_good_after_an_update() -> None:
    assert {(state, event) for (state, event), then in TABLE.items() if then is State.GOOD} == {
        (State.TRYING, Event.BLESSED),
        (State.FAILED, Event.BLESSED),
        (State.ROLLING_BACK, Event.NEW_RUNS),
        (State.RETURNING, Event.NEW_RUNS),
    }
