"""Whether a node became what was asked of it, and why not: of its own words, the one that is the reason now."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from bedplate.cli.outcome import why_not
from bedplate.node.update.facts import Facts, Offer
from bedplate.node.update.memory import Memory
from bedplate.node.update.plan import next_step
from bedplate.node.update.states import State
from bedplate.node.update.status import status_of
from bedplate.testing.clock import START
from bedplate.testing.releases import OLDER, VERSION, release_of
from bedplate.wire.desired import LEFT, NOWHERE, STAYS, Failed, Line, Status, Wish

AWAY = "No mirror can be used."
BEFORE = Status(version=OLDER, state="Idle", since=START)
CHANNEL, NAMED, BACK = Wish(asked="1"), Wish(version=VERSION, asked="1"), Wish(rollback=True, asked="1")


def failed(version: str, reason: str) -> Failed:
    return Failed(version=version, root_hash="a" * 64, at=START, reason=reason)


@pytest.mark.parametrize(
    ("wish", "after"),
    [
        (CHANNEL, replace(BEFORE, version=VERSION, state="Good", doing=f"{VERSION} runs")),
        (CHANNEL, replace(BEFORE, version=VERSION, state="Good", doing=AWAY)),
        (CHANNEL, replace(BEFORE, doing=f"{OLDER} runs")),
        (NAMED, replace(BEFORE, version=VERSION, state="Good", doing=AWAY)),
        (BACK, replace(BEFORE, version=VERSION, state="RolledBack", doing=AWAY)),
    ],
    ids=["became it", "became it, and the mirror went away", "ran it already", "by name", "went back"],
)
def test_a_node_that_is_as_asked_has_no_reason(wish: Wish, after: Status) -> None:
    assert why_not(BEFORE, after, wish) == ""


@pytest.mark.parametrize("wish", [CHANNEL, NAMED, BACK], ids=["channel", "by name", "back"])
def test_a_node_that_changed_nothing_says_why(wish: Wish) -> None:
    assert why_not(BEFORE, replace(BEFORE, doing=AWAY), wish) == AWAY


@pytest.mark.parametrize("wish", [CHANNEL, NAMED], ids=["channel", "by name"])
def test_a_version_that_was_tried_and_failed_is_the_reason(wish: Wish) -> None:
    after = replace(BEFORE, state="RolledBack", doing="it is not tried again", failures=(failed(VERSION, "it hung"),))
    assert why_not(BEFORE, after, wish) == "it hung"


@pytest.mark.parametrize("wish", [CHANNEL, NAMED], ids=["channel", "by name"])
def test_what_failed_long_ago_is_not_the_reason(wish: Wish) -> None:
    before = replace(BEFORE, failures=(failed(VERSION, "it panicked a year ago"),))
    assert why_not(before, replace(before, doing=AWAY), wish) == AWAY


def test_a_version_that_fails_again_is_the_reason_again() -> None:
    old = failed(VERSION, "it hung")
    after = replace(BEFORE, failures=(replace(old, at=START + timedelta(hours=1)),), doing="it is not tried again")
    assert why_not(replace(BEFORE, failures=(old,)), after, NAMED) == "it hung"


def test_a_node_that_fell_back_from_a_version_on_trial_is_not_updated() -> None:
    before = replace(BEFORE, version=VERSION, state="Trying")
    after = replace(BEFORE, state="RolledBack", doing="it is not tried again", failures=(failed(VERSION, "it hung"),))
    assert why_not(before, after, CHANNEL) == "it hung"


def happened(state: str, version: str, reason: str) -> Line:
    return Line(at=START, state=state, version=version, reason=reason)


def test_a_way_back_that_was_not_gone_is_told_from_the_history() -> None:
    line = happened("Good", OLDER, f"{VERSION} was not started: somebody chose another one at the boot loader")
    after = replace(BEFORE, state="Good", doing=f"{OLDER} runs", history=(line,))
    assert why_not(BEFORE, after, BACK) == line.reason


def test_an_update_that_was_dropped_for_a_way_back_is_as_asked() -> None:
    before = replace(BEFORE, state="Staged", target=VERSION)
    lines = (happened("Idle", VERSION, "nothing of it can boot"), happened("Dropping", VERSION, STAYS))
    assert why_not(before, replace(BEFORE, doing=AWAY, history=lines), BACK) == ""


def test_an_update_that_was_dropped_long_ago_is_no_answer_to_a_way_back() -> None:
    before = replace(BEFORE, history=(happened("Dropping", VERSION, STAYS),))
    assert why_not(before, replace(before, doing=AWAY), BACK) == AWAY


def test_a_way_back_from_what_a_node_was_just_rebooting_into_is_as_asked() -> None:
    line = happened("RolledBack", VERSION, f"{VERSION} was {LEFT}")
    assert why_not(BEFORE, replace(BEFORE, state="RolledBack", doing=AWAY, history=(line,)), BACK) == ""


def test_what_was_gone_back_to_and_does_not_work_is_the_reason() -> None:
    lines = (happened("RolledBack", VERSION, "it does not work"), happened("RolledBack", OLDER, f"{OLDER} was {LEFT}"))
    after = replace(BEFORE, state="RolledBack", failures=(failed(VERSION, "not healthy"),), history=lines)
    assert why_not(BEFORE, after, BACK) == "not healthy"


@pytest.mark.parametrize("version", [OLDER, VERSION], ids=["and stays", "and is updated since"])
def test_where_there_is_no_way_back_that_is_the_reason(version: str) -> None:
    lines = (happened("Good", VERSION, "healthy, and blessed"), happened("Idle", OLDER, NOWHERE))
    after = replace(BEFORE, version=version, state="Good", doing=f"{version} runs", history=lines)
    assert why_not(BEFORE, after, BACK) == NOWHERE


@pytest.mark.parametrize("wish", [CHANNEL, NAMED, BACK], ids=["channel", "by name", "back"])
def test_a_node_that_stays_on_what_failed_is_not_as_asked(wish: Wish) -> None:
    words = f"{VERSION} failed, and there is no other version"
    after = replace(BEFORE, version=VERSION, state=State.FAILED, doing=words)
    assert why_not(BEFORE, after, wish) == words


def test_the_agent_says_that_what_is_wanted_runs_in_the_words_that_are_looked_for() -> None:
    release, _ = release_of(OLDER, usr=b"usr", uki=b"uki")
    facts = Facts(version=OLDER, root_hash=release.verity.root_hash, boot="b", now=START, entries=())
    step = next_step(Memory(), facts, CHANNEL, Offer(release))
    said = status_of(Memory(), facts, CHANNEL, step.reason, busy=False, clock="")
    assert why_not(said, said, CHANNEL) == ""


def test_the_state_of_what_became_another_version_is_the_agents() -> None:
    after = replace(BEFORE, version=VERSION, state=State.GOOD, doing=AWAY)
    assert why_not(BEFORE, after, CHANNEL) == ""
