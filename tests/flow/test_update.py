"""A node becomes what it is told to become, or goes back and remembers why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from bedplate.cli.outcome import why_not
from bedplate.model.errors import MachineError, OurError, PeerError
from bedplate.model.reading import InMemory, ReadAt
from bedplate.node.update.agent import LOOK_SECONDS
from bedplate.node.update.facts import Offer
from bedplate.node.update.memory import Memory
from bedplate.node.update.reboot import REBOOT_SECONDS
from bedplate.node.update.states import State
from bedplate.testing.node import FIRST, Behaviour, FakeNode, FixedWish
from bedplate.testing.served import FakeReleases
from bedplate.testing.two_slots import FakeSlots, PowerCut, entry_under
from bedplate.wire.desired import NOWHERE, Wish
from tests.unit.test_signature import OURS, signed

NEXT = "Bedplate-1.37-amd64-202611.24.0"
LATER = "Bedplate-1.37-amd64-202611.25.0"
BETWEEN = "Bedplate-1.37-amd64-202611.23.0"
"""Newer than the first one and older than the next."""
STABLE = "1.37/stable"


@pytest.fixture
def node(tmp_path: Path) -> FakeNode:
    node = FakeNode(tmp_path)
    node.install_first()
    node.releases.channels[STABLE] = FIRST
    return node


def offer(node: FakeNode, version: str, behaviour: Behaviour = Behaviour.WORKS) -> None:
    """Publish a version and point the channel to it."""
    node.publish(version, behaviour)
    node.releases.channels[STABLE] = version
    node.a_week_later()


def test_the_first_version_is_blessed_once_it_was_judged(node: FakeNode) -> None:
    node.run()
    assert node.boots == [FIRST]
    assert [each.left for each in node.slots.esp] == [None]


def test_a_node_follows_its_channel(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    node.run()
    assert node.boots == [FIRST, NEXT]
    assert node.memory.state is State.GOOD
    assert [(each.version, each.left) for each in node.slots.entries()] == [(NEXT, None), (FIRST, None)]
    states = [line.state for line in node.memory.history][::-1]
    assert states[-8:] == ["Clearing", "Writing", "Sealing", "Installing", "Staged", "Rebooting", "Trying", "Good"]


@pytest.mark.parametrize(
    ("behaviour", "boots", "reason"),
    [
        (Behaviour.SICK, 1, "not healthy: kubelet: /healthz: refused"),
        (Behaviour.PANICS, 3, "it did not come up in 3 boots"),
        (Behaviour.HANGS, 3, "it did not come up in 3 boots"),
    ],
)
def test_a_version_that_does_not_work_is_left_and_not_tried_again(
    node: FakeNode, behaviour: Behaviour, boots: int, reason: str
) -> None:
    node.run()
    offer(node, NEXT, behaviour)
    node.run()
    assert node.boots == [FIRST, *[NEXT] * boots, FIRST]
    assert node.memory.state is State.ROLLED_BACK
    (failure,) = node.memory.failures
    assert (failure.version, failure.reason, failure.last_lines) == (NEXT, reason, ("last line",))
    before = list(node.boots)
    for _ in range(3):
        node.a_week_later()
        node.run()
    assert node.boots == before
    assert node.status is not None
    assert node.status.doing == f"{NEXT} is not tried again unless told: {reason}"


def test_a_version_that_failed_is_tried_again_when_told(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT, Behaviour.SICK)
    node.run()
    node.behaviour[NEXT] = Behaviour.WORKS
    node.source.wish = Wish(asked="now")
    node.run()
    assert (node.version, node.memory.failures) == (NEXT, ())


def test_the_version_after_one_that_failed_is_taken(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT, Behaviour.PANICS)
    node.run()
    offer(node, LATER)
    node.run()
    assert node.version == LATER


def test_going_back_by_hand_lasts(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    node.run()
    node.source.wish = Wish(rollback=True, asked="1")
    node.run()
    assert node.version == FIRST
    for _ in range(3):
        node.a_week_later()
        node.run()
        node.agent = None
    assert node.boots == [FIRST, NEXT, FIRST, FIRST, FIRST]
    node.source.wish = Wish(version=NEXT, asked="2")
    node.run()
    assert node.version == NEXT


@pytest.fixture
def went_back(node: FakeNode) -> FakeNode:
    """It took NEXT, and was told to go back; both work."""
    node.run()
    offer(node, NEXT)
    node.run()
    node.source.wish = Wish(rollback=True, asked="1")
    node.run()
    return node


AGAIN = Wish(rollback=True, asked="2")
NOT_HEALTHY = "not healthy: kubelet: /healthz: refused"


@pytest.mark.parametrize(
    ("behaviour", "boots", "reason"),
    [(Behaviour.SICK, 1, NOT_HEALTHY), (Behaviour.PANICS, 3, "it did not come up in 3 boots")],
)
def test_a_version_that_was_gone_back_to_and_fails_is_left_by_itself_and_remembered(
    went_back: FakeNode, behaviour: Behaviour, boots: int, reason: str
) -> None:
    node = went_back
    node.behaviour[NEXT] = behaviour
    node.source.wish = AGAIN
    for _ in range(3):
        node.run()
        node.a_week_later()
    assert node.boots == [FIRST, NEXT, FIRST, *[NEXT] * boots, FIRST]
    (failure,) = node.memory.failures
    assert (failure.version, failure.reason, failure.last_lines) == (NEXT, reason, ("last line",))
    assert node.memory.history[0].reason == f"{NEXT} does not work: {reason}"
    assert [each.version for each in node.slots.esp] == [FIRST]
    offer(node, LATER)
    node.run()
    assert node.version == LATER


def test_a_version_that_was_gone_back_to_and_fails_once_its_agent_has_come_up_is_remembered_too(
    went_back: FakeNode,
) -> None:
    node = went_back
    node.behaviour[NEXT] = Behaviour.SICK
    node.source.wish = AGAIN
    while not node.rebooting:
        node.round()
    node.slots.failing = True
    node.boot()
    node.run()
    assert (node.version, node.memory.state) == (NEXT, State.ROLLED_BACK)
    node.slots.failing = False
    for _ in range(3):
        node.cut_power()
        node.a_week_later()
        node.run()
    assert node.version == FIRST
    assert [(each.version, each.reason) for each in node.memory.failures] == [(NEXT, NOT_HEALTHY)]
    assert [each.version for each in node.slots.esp] == [FIRST]


def test_a_request_to_go_back_outlives_a_power_cut_before_the_boot_loader_was_told(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    node.run()
    node.source.wish = Wish(rollback=True, asked="1")
    while node.memory.state is not State.ROLLING_BACK:
        node.round()
    node.cut_power()
    node.run()
    assert (node.version, node.memory.state) == (FIRST, State.ROLLED_BACK)


def test_a_version_that_somebody_starts_in_the_place_of_the_one_to_go_back_to_costs_that_nothing(
    node: FakeNode,
) -> None:
    node.run()
    offer(node, NEXT)
    node.run()
    node.source.wish = Wish(rollback=True, asked="1")
    while not node.rebooting:
        node.round()
    node.boot(picked=NEXT)
    node.run()
    assert (node.version, node.memory.state, node.memory.failures) == (NEXT, State.GOOD, ())
    assert len(node.slots.esp) == 2


def test_what_was_left_by_hand_and_is_started_from_the_menu_says_nothing_against_the_other(went_back: FakeNode) -> None:
    node = went_back
    node.behaviour[FIRST] = Behaviour.SICK
    node.cut_power()
    node.run()
    node.boot(picked=NEXT)
    node.run()
    assert [(each.version, each.by_hand) for each in node.memory.failures] == [(NEXT, True)]
    assert len(node.slots.esp) == 2


def test_going_back_from_the_first_version_is_refused_with_the_reason(node: FakeNode) -> None:
    node.run()
    node.source.wish = Wish(rollback=True, asked="1")
    node.run()
    assert node.memory.history[0].reason == NOWHERE
    assert (node.boots, node.memory.answered) == ([FIRST], "1")


@pytest.mark.parametrize("failed", [False, True], ids=["on a new machine", "after a version that failed"])
def test_a_request_that_finds_nothing_to_go_back_to_keeps_no_newer_version_away(
    node: FakeNode, *, failed: bool
) -> None:
    node.run()
    if failed:
        offer(node, NEXT, Behaviour.SICK)
        node.run()
    node.source.wish = Wish(rollback=True, asked="1")
    node.run()
    assert node.version == FIRST
    offer(node, LATER)
    node.run()
    assert (node.version, node.memory.state) == (LATER, State.GOOD)


def test_a_request_to_go_back_is_none_to_try_again_what_failed(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT, Behaviour.SICK)
    node.run()
    for asked in ("1", "2"):
        node.source.wish = Wish(rollback=True, asked=asked)
        node.run()
    assert node.boots == [FIRST, NEXT, FIRST]
    assert node.status is not None
    assert node.status.doing.startswith(f"{NEXT} is not tried again unless told")


def test_what_was_dropped_stays_so_when_the_node_is_told_to_go_back_once_more(node: FakeNode) -> None:
    node.run()
    node.leave = (Never(),)
    node.cut_power()
    offer(node, NEXT)
    node.run()
    for asked in ("1", "2"):
        node.source.wish = Wish(rollback=True, asked=asked)
        node.run()
    node.a_week_later()
    node.run()
    assert [each.version for each in node.slots.esp] == [FIRST]


def test_a_machine_made_anew_follows_its_channel_though_its_node_was_told_to_go_back_once(node: FakeNode) -> None:
    node.source.wish = Wish(rollback=True, asked="last year")
    offer(node, NEXT)
    node.run()
    assert (node.version, node.memory.state) == (NEXT, State.GOOD)


def test_a_pinned_node_stays(node: FakeNode) -> None:
    node.run()
    node.source.wish = Wish(pinned=True)
    offer(node, NEXT)
    node.run()
    assert (node.version, node.status and node.status.doing) == (FIRST, f"pinned to {FIRST}")


def test_an_older_version_is_taken_by_name_only(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    node.run()
    older = "Bedplate-1.37-amd64-202611.10.0"
    offer(node, older)
    node.run()
    assert node.version == NEXT
    node.source.wish = Wish(version=older, asked="1")
    node.run()
    assert node.version == older


def test_an_older_version_that_fails_takes_no_turns_with_one_that_fails_since(node: FakeNode) -> None:
    node.run()
    older = "Bedplate-1.37-amd64-202611.10.0"
    offer(node, older, Behaviour.SICK)
    node.behaviour[FIRST] = Behaviour.SICK
    node.source.wish = Wish(version=older, asked="1")
    node.run()
    assert node.boots == [FIRST, older, FIRST]
    assert [each.version for each in node.memory.failures] == [older]


class Never:
    """It gives no leave to reboot."""

    def ask(self) -> str:
        return "never"

    def give_back(self) -> str:
        return ""


def test_what_is_staged_is_dropped_when_another_version_is_wanted(node: FakeNode) -> None:
    node.run()
    node.leave = (Never(),)
    node.cut_power()
    offer(node, NEXT)
    node.run()
    assert node.memory.state is State.STAGED
    offer(node, LATER)
    node.run()
    assert [each.version for each in node.slots.entries()] == [LATER, FIRST]


def test_a_withdrawn_version_is_dropped_on_the_way(node: FakeNode) -> None:
    node.run()
    node.releases.withdrawn[NEXT] = "it eats disks"
    offer(node, NEXT)
    node.run()
    assert node.boots == [FIRST]
    assert node.status is not None
    assert "it eats disks" in node.status.doing


def test_a_mirror_that_goes_away_is_waited_for(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    node.releases.away = True
    node.run()
    assert node.boots == [FIRST]
    node.releases.away = False
    node.a_week_later()
    node.run()
    assert node.version == NEXT


@pytest.mark.parametrize("behaviour", [Behaviour.WORKS, Behaviour.SICK, Behaviour.PANICS])
@pytest.mark.parametrize("cut_in", range(1, 14))
def test_a_power_cut_at_any_step_changes_nothing_about_the_end(
    node: FakeNode, behaviour: Behaviour, cut_in: int
) -> None:
    node.run()
    offer(node, NEXT, behaviour)
    node.slots.cut_in = cut_in
    try:
        node.run()
    except PowerCut:
        node.cut_power()
        node.run()
    works = behaviour is Behaviour.WORKS
    assert node.version == (NEXT if works else FIRST)
    assert node.memory.state is (State.GOOD if works else State.ROLLED_BACK)
    assert bool(node.memory.failures) is not works


@pytest.mark.parametrize("cut_in", range(1, 14))
def test_an_agent_that_is_killed_at_any_step_goes_on_there(node: FakeNode, cut_in: int) -> None:
    node.run()
    offer(node, NEXT)
    node.slots.cut_in = cut_in
    try:
        node.run()
    except PowerCut:
        node.agent = node._make_agent()
        node.agent.start()
        node.run()
    assert node.boots == [FIRST, NEXT]
    assert node.memory.state is State.GOOD


def test_a_damaged_memory_is_told_and_the_disk_tells_the_rest(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT, Behaviour.PANICS)
    node.run()
    node.cut_power()
    (node.folder / "memory.json").write_bytes(b'{"state": "Roll')
    node.run()
    assert node.version == FIRST
    assert any("could not be read" in line.reason for line in node.memory.history)
    assert (node.folder / "memory.damaged").is_file()


def test_a_wish_that_cannot_be_read_changes_nothing(node: FakeNode) -> None:
    class Unreadable(FixedWish):
        def look(self) -> Wish:
            raise ValueError("desired.json: no JSON")

    node.source = Unreadable()
    offer(node, NEXT)
    node.boot()
    for _ in range(10):
        node.round()
    assert node.boots == [FIRST]
    assert "desired.json: no JSON" in node.said[-1]


def test_a_damaged_esp_is_told_and_nothing_is_done_until_it_is_whole(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    node.slots.damaged = True
    node.run()
    assert node.boots == [FIRST]
    assert node.status is not None
    assert node.status.doing == "The ESP is damaged, so it is not touched."
    node.slots.damaged = False
    node.run()
    assert node.version == NEXT


def test_an_esp_that_is_damaged_after_the_reboot_is_no_verdict_on_the_version(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    while not node.rebooting:
        node.round()
    node.boot()
    node.slots.damaged = True
    node.run()
    assert (node.memory.state, node.memory.failures) == (State.REBOOTING, ())
    node.slots.damaged = False
    node.run()
    assert node.memory.state is State.GOOD


@pytest.mark.parametrize("rounds", range(6))
def test_a_full_state_disk_is_told_and_waited_for_in_every_state_before_the_reboot(node: FakeNode, rounds: int) -> None:
    node.run()
    offer(node, NEXT)
    for _ in range(rounds):
        node.round()
    before = node.memory
    node.full = True
    for _ in range(3):
        node.round()
    assert node.memory == before
    assert node.status is not None
    assert "There is no space left" in node.status.doing
    node.full = False
    node.run()
    assert (node.version, node.memory.state) == (NEXT, State.GOOD)


def test_read_errors_in_the_other_slot_are_told_and_the_running_version_stays(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    node.slots.failing = True
    node.boot()
    for _ in range(10):
        node.round()
    assert [each.version for each in node.slots.esp] == [FIRST]
    assert node.status is not None
    assert node.status.doing == "The disk cannot be read. [Errno 5] Input/output error"
    assert node.status.busy


def test_what_cannot_be_gone_back_to_is_left_and_can_be_installed_again(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    node.run()
    node.slots.rot()
    node.source.wish = Wish(rollback=True, asked="1")
    node.run()
    assert (node.version, node.memory.state) == (NEXT, State.IDLE)
    assert [each.version for each in node.slots.esp] == [NEXT]
    assert node.memory.failures[0].version == FIRST
    node.source.wish = Wish(version=FIRST, asked="2")
    node.run()
    assert node.version == FIRST


def test_a_slot_that_cannot_be_read_for_a_while_costs_no_way_back(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    node.run()
    node.slots.failing = True
    node.source.wish = Wish(rollback=True, asked="1")
    node.boot()
    for _ in range(5):
        node.round()
    assert node.status is not None
    assert node.status.doing == "The disk cannot be read. [Errno 5] Input/output error"
    assert (node.memory.failures, len(node.slots.esp)) == ((), 2)
    node.slots.failing = False
    node.run()
    assert (node.version, node.memory.state) == (FIRST, State.ROLLED_BACK)


def test_a_version_that_failed_and_could_not_be_left_is_good_once_a_boot_of_it_is(node: FakeNode) -> None:
    sick_and_not_left(node)
    node.slots.rot()
    node.run()
    assert node.memory.state is State.FAILED
    node.behaviour[NEXT] = Behaviour.WORKS
    node.cut_power()
    node.run()
    assert (node.version, node.memory.state) == (NEXT, State.GOOD)


def test_an_agent_that_is_killed_before_it_replaced_a_damaged_memory_tells_of_it_again(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT, Behaviour.PANICS)
    node.run()
    node.cut_power()
    (node.folder / "memory.json").rename(node.folder / "memory.damaged")
    node.run()
    assert node.version == FIRST
    assert any("could not be read before" in line.reason for line in node.memory.history)


def test_a_file_that_cannot_be_read_is_a_trouble_of_the_machine_and_not_the_end(node: FakeNode) -> None:
    class Broken(FixedWish):
        def look(self) -> Wish:
            raise OSError(5, "Input/output error")

    node.run()
    node.source = Broken()
    node.boot()
    for _ in range(3):
        node.round()
    assert node.status is not None
    assert node.status.doing == "A file of the agent cannot be used. [Errno 5] Input/output error"


class SignedSlots(FakeSlots):
    """What runs is signed."""

    @contextmanager
    def base_uki(self) -> Iterator[ReadAt]:
        yield InMemory(signed(OURS))


def test_a_uki_by_another_signer_is_refused_for_good_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    node = FakeNode(tmp_path, SignedSlots())
    node.install_first()
    node.run()
    offer(node, NEXT)
    while node.memory.state is not State.INSTALLING:
        node.round()
    (tmp_path / f"uki.{'0' * 64}.delta").write_bytes(b"the UKI was made of it")
    node.run()
    assert node.boots == [FIRST]
    assert "the firmware would not start it" in node.memory.failures[0].reason
    assert list(tmp_path.glob("*delta")) == []


@pytest.mark.parametrize("state", [State.CLEARING, State.WRITING, State.SEALING])
def test_a_version_that_somebody_starts_from_the_menu_while_it_is_installed_is_judged_as_any(
    node: FakeNode, state: State
) -> None:
    """Its slot has it from before; how it got past an ESP that was cleared, nobody has to know."""
    node.run()
    offer(node, NEXT)
    node.run()
    first = [each for each in node.slots.esp if each.version == FIRST]
    node.source.wish = Wish(version=FIRST, asked="1")
    while node.memory.state is not state:
        node.round()
    node.slots.esp = [each for each in node.slots.esp if each.version != FIRST] + first
    node.boot(picked=FIRST)
    node.run()
    assert (node.version, node.memory.state) == (FIRST, State.GOOD)


class Stumbling(FixedWish):
    """A source that fails as a test says."""

    problem: BaseException = ValueError()

    def look(self) -> Wish:
        raise self.problem


@pytest.fixture
def stumbling(node: FakeNode) -> Stumbling:
    """The node has a release to take, and does not come to that."""
    node.run()
    offer(node, NEXT)
    node.source = source = Stumbling()
    node.boot()
    return source


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (OurError("A node that is Idle cannot be told 'cleared'.", details="-"), "A node that is Idle cannot be told"),
        (KeyError("http"), "The agent met something that it does not know. KeyError: 'http' (test_update.py:"),
        (RecursionError("too deep"), "RecursionError: too deep (test_update.py:"),
        (MemoryError(), "MemoryError: (test_update.py:"),
    ],
)
def test_what_nobody_foresaw_is_told_as_our_own_fault_and_the_agent_goes_on(
    node: FakeNode, stumbling: Stumbling, problem: Exception, words: str
) -> None:
    stumbling.problem = problem
    for _ in range(5):
        assert node.round()
    assert node.status is not None
    assert words in node.status.doing
    assert [words in line.reason for line in node.memory.history].count(True) == 1
    node.source = FixedWish()
    node.boot()
    node.run()
    assert node.version == NEXT


@pytest.mark.parametrize("problem", [KeyboardInterrupt, SystemExit])
def test_an_agent_that_is_told_to_end_ends(node: FakeNode, stumbling: Stumbling, problem: type[BaseException]) -> None:
    stumbling.problem = problem()
    with pytest.raises(problem):
        node.round()


def test_a_status_that_cannot_be_told_for_a_reason_that_nobody_foresaw_stops_no_update(node: FakeNode) -> None:
    def fails(*_: object, **__: object) -> None:
        raise KeyError("https")

    node.run()
    offer(node, NEXT)
    node.boot()
    assert node.agent is not None
    node.agent.publish = fails
    while not node.rebooting:
        node.round()
    assert [line for line in node.said if "KeyError" in line] == [
        line for line in node.said if line.startswith("The status cannot be written.")
    ]


class Lock:
    """A server that gives leave to one machine at a time, and the power that goes as it does."""

    held = cut = False
    away = ""

    def ask(self) -> str:
        self.held = True
        if self.cut:
            raise PowerCut
        return ""

    def give_back(self) -> str:
        self.held = self.held and bool(self.away)
        return self.away


@pytest.fixture
def lock(node: FakeNode) -> Lock:
    """The node asks it, and has a release to take."""
    node.run()
    lock = Lock()
    node.leave = (lock,)
    node.cut_power()
    node.boot()
    offer(node, NEXT)
    return lock


def test_leave_is_given_back_after_a_reboot_that_came_about_later_than_it_was_asked_for(
    node: FakeNode, lock: Lock
) -> None:
    node.stuck = True
    for _ in range(12):
        node.round()
    assert (node.memory.state, node.memory.leave_held, lock.held) == (State.REBOOTING, True, True)
    node.source.wish = Wish(pinned=True)
    for _ in range(3):
        node.round()
    assert node.memory.state is State.REBOOTING
    node.cut_power()
    node.run()
    assert (node.version, node.memory.state) == (NEXT, State.GOOD)
    assert (node.memory.leave_held, lock.held) == (False, False)


def test_leave_that_was_given_as_the_power_went_is_given_back_though_nothing_comes_of_it(
    node: FakeNode, lock: Lock
) -> None:
    lock.cut = True
    with pytest.raises(PowerCut):
        node.run()
    lock.cut = False
    node.source.wish = Wish(pinned=True)
    node.agent = node._make_agent()
    node.agent.start()
    node.run()
    assert (node.version, node.memory.state) == (FIRST, State.IDLE)
    assert (node.memory.leave_held, lock.held) == (False, False)


def test_what_runs_is_blessed_and_what_failed_is_removed_while_leave_cannot_be_given_back(
    node: FakeNode, lock: Lock
) -> None:
    node.behaviour[NEXT] = Behaviour.SICK
    while not node.rebooting:
        node.round()
    lock.away = "the server is away"
    node.boot()
    for _ in range(3):
        node.round()
    assert (node.memory.state, lock.held) == (State.ROLLED_BACK, True)
    assert [each.version for each in node.slots.esp] == [FIRST]
    node.slots.esp = [entry_under(each.version, each.root_hash, 2) for each in node.slots.esp]
    for _ in range(3):
        node.round()
    assert [each.left for each in node.slots.esp] == [None]
    lock.away = ""
    node.run()
    assert not lock.held


def test_a_node_that_stays_on_a_version_that_failed_keeps_its_leave(node: FakeNode, lock: Lock) -> None:
    node.behaviour[NEXT] = Behaviour.SICK
    while not node.rebooting:
        node.round()
    node.slots.esp = [each for each in node.slots.esp if each.version == NEXT]
    node.boot()
    node.run()
    assert (node.memory.state, lock.held) == (State.FAILED, True)
    node.behaviour[NEXT] = Behaviour.WORKS
    node.cut_power()
    node.run()
    assert (node.memory.state, lock.held) == (State.GOOD, False)


def test_leave_is_not_asked_for_while_it_could_not_be_written_down(node: FakeNode, lock: Lock) -> None:
    while node.memory.state is not State.STAGED:
        node.round()
    node.full = True
    for _ in range(3):
        node.round()
    assert not lock.held


def test_a_step_that_fails_again_and_again_is_told_once_and_what_was_before_stays_in_the_history(
    node: FakeNode,
) -> None:
    node.run()
    offer(node, NEXT)
    node.slots.failing = True
    for _ in range(200):
        node.round()
    reasons = [line.reason for line in node.memory.history]
    assert reasons == [
        "The disk cannot be read. [Errno 5] Input/output error",
        "the boot loader can choose only what runs",
        f"{NEXT} is wanted",
    ]
    assert [reasons[0] in line for line in node.said].count(True) == 1


def test_problems_that_take_turns_and_have_other_figures_each_time_are_told_once_each(
    node: FakeNode, stumbling: Stumbling
) -> None:
    for number in range(100):
        stumbling.problem = PeerError("The connection broke off.", details=f"{number} of 28333 bytes are here.")
        node.round()
        stumbling.problem = PeerError("The mirror is away.", details=f"It was asked {number} times.")
        node.round()
    assert [line.reason for line in node.memory.history] == [
        "The mirror is away. It was asked 0 times.",
        "The connection broke off. 0 of 28333 bytes are here.",
    ]
    assert node.status is not None
    assert node.status.doing == "The mirror is away. It was asked 99 times."
    assert ["broke off" in line for line in node.said].count(True) == 1


def test_a_step_that_fails_after_it_had_worked_is_told_anew(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    for _ in range(2):
        node.slots.damaged = False
        node.slots.failing = True
        for _ in range(5):
            node.round()
        node.slots.failing = False
        node.slots.damaged = True
        node.round()
    told = [line.reason for line in node.memory.history if "cannot be read" in line.reason]
    assert len(told) == 2


def test_a_mirror_that_is_away_is_asked_again_soon_and_then_less_and_less_often(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    node.releases.away = True
    node.boot()
    assert node.agent is not None
    offered, asked = node.agent.offer, list[float]()

    def noted(wish: Wish) -> Offer:
        asked.append(node.clock.monotonic())
        return offered(wish)

    node.agent.offer = noted
    for _ in range(300):
        node.round()
    pauses = [second - first for first, second in pairwise(asked)]
    assert pauses == [15, 30, 60, 120, 240, 480, 900, 900, 900]
    node.source.wish = Wish(asked="now")
    node.round()
    node.releases.away = False
    node.round()
    node.run()
    assert node.version == NEXT


@dataclass
class BrokenReleases(FakeReleases):
    """A repository that stumbles over itself."""

    problem: Exception = field(default_factory=ValueError)

    def refresh(self) -> None:
        raise self.problem


@pytest.mark.parametrize(
    "problem",
    [
        MachineError("There is no space left for tuf/timestamp.json."),
        OSError(5, "Input/output error"),
        ValueError("negative seek value"),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_whatever_is_wrong_with_the_repository_a_wish_to_go_back_is_heard(node: FakeNode, problem: Exception) -> None:
    node.run()
    offer(node, NEXT)
    node.run()
    node.releases = BrokenReleases(problem=problem)
    node.cut_power()
    node.run()
    assert node.status is not None
    assert str(problem) in node.status.doing
    node.source.wish = Wish(rollback=True, asked="1")
    node.run()
    assert node.version == FIRST


def test_a_version_that_failed_as_the_memory_was_lost_is_not_tried_again_for_an_old_request(node: FakeNode) -> None:
    node.source.wish = Wish(asked="last year")
    node.run()
    offer(node, NEXT, Behaviour.PANICS)
    while not node.rebooting:
        node.round()
    (node.folder / "memory.json").write_bytes(b"{")
    node.boot()
    for _ in range(3):
        node.run()
        node.a_week_later()
    assert node.boots == [FIRST, NEXT, NEXT, NEXT, FIRST]
    node.behaviour[NEXT] = Behaviour.WORKS
    node.source.wish = Wish(asked="now")
    node.run()
    assert node.version == NEXT


def test_a_memory_that_is_lost_sends_no_node_back_to_what_it_left(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    node.run()
    node.source.wish = Wish(rollback=True, asked="1")
    node.run()
    (node.folder / "memory.json").write_bytes(b"{")
    for _ in range(3):
        node.cut_power()
        node.a_week_later()
        node.run()
    assert node.boots == [FIRST, NEXT, FIRST, FIRST, FIRST, FIRST]


def test_what_could_not_be_gone_back_to_is_not_installed_for_that_request(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    node.run()
    node.slots.rot()
    node.source.wish = Wish(rollback=True, asked="1")
    node.run()
    node.source.wish = Wish(version=FIRST, asked="1")
    node.run()
    assert node.version == NEXT


def sick_and_not_left(node: FakeNode, *, boots: int = 1) -> None:
    """NEXT was judged not to work, the loader would start FIRST, and the gate's reboot did not come about."""
    node.run()
    offer(node, NEXT, Behaviour.HANGS)
    while not node.rebooting:
        node.round()
    node.behaviour[NEXT] = Behaviour.SICK
    for _ in range(boots - 1):
        node.slots.boot()
    node.stuck = True
    node.boot()
    node.clock.sleep(20)
    assert node.slots.entries()[0].version == FIRST


def test_a_version_that_failed_is_left_by_a_reboot_of_the_agent_where_that_of_the_gate_did_not_come_about(
    node: FakeNode,
) -> None:
    sick_and_not_left(node)
    before = node.clock.monotonic()
    for _ in range(5):
        node.round()
    assert node.memory.state is State.FAILED
    assert node.clock.monotonic() - before >= 5 * LOOK_SECONDS
    assert node.status is not None
    node.stuck = False
    node.run()
    assert (node.version, node.memory.state) == (FIRST, State.ROLLED_BACK)
    assert node.memory.failures[0].reason == "not healthy: kubelet: /healthz: refused"


@pytest.mark.parametrize("boots", [1, 2, 3])
def test_a_version_that_failed_is_never_left_for_one_that_is_not_whole(node: FakeNode, boots: int) -> None:
    """At its last try as well, when the loader would come to the other by itself."""
    sick_and_not_left(node, boots=boots)
    node.slots.rot()
    node.stuck = False
    for _ in range(2):
        node.run()
    assert [each.version for each in node.slots.esp] == [NEXT]
    assert node.status is not None
    assert (node.memory.state, node.status.doing) == (State.FAILED, f"{NEXT} failed, and there is no other version")
    assert node.memory.history[0].reason == f"it stays, for want of a better one: {FIRST} is not complete any more."
    for _ in range(4):
        node.cut_power()
        node.run()
    assert (node.version, node.memory.state) == (NEXT, State.FAILED)


@pytest.mark.parametrize("behaviour", [Behaviour.SICK, Behaviour.WORKS])
def test_tries_that_run_out_lead_to_nothing_that_is_not_whole(node: FakeNode, behaviour: Behaviour) -> None:
    """What had been running lost its slot before the new version was judged, or blessed."""
    node.run()
    offer(node, NEXT, behaviour)
    while not node.rebooting:
        node.round()
    node.slots.rot(running=True)
    for _ in range(5):
        node.boot()
    assert set(node.boots) == {FIRST, NEXT}
    node.run()
    assert node.version == NEXT
    assert node.memory.state is (State.GOOD if behaviour is Behaviour.WORKS else State.FAILED)


def test_a_version_that_failed_is_left_once_the_other_slot_can_be_read_again(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT, Behaviour.SICK)
    while not node.rebooting:
        node.round()
    node.slots.failing = True
    node.boot()
    assert node.boots == [FIRST, NEXT, NEXT, NEXT]
    for _ in range(5):
        node.round()
    assert node.status is not None
    assert (node.memory.state, node.status.doing) == (
        State.FAILED,
        "The disk cannot be read. [Errno 5] Input/output error",
    )
    node.slots.failing = False
    node.run()
    assert (node.version, node.memory.state) == (FIRST, State.ROLLED_BACK)


def test_a_node_that_went_back_takes_the_version_after_the_one_that_it_left(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    node.run()
    node.source.wish = Wish(rollback=True, asked="1")
    node.run()
    offer(node, BETWEEN)
    node.run()
    assert node.status is not None
    assert (node.version, node.status.doing) == (
        FIRST,
        f"the node was told to go back, and by itself takes only what is newer than {NEXT}",
    )
    offer(node, LATER)
    node.run()
    assert (node.version, node.memory.state) == (LATER, State.GOOD)
    node.releases.channels[STABLE] = NEXT
    node.a_week_later()
    node.run()
    assert node.boots == [FIRST, NEXT, FIRST, LATER]


def test_a_node_that_was_told_to_stay_takes_the_version_after_the_one_that_it_dropped(node: FakeNode) -> None:
    node.run()
    node.leave = (Never(),)
    node.cut_power()
    offer(node, NEXT)
    node.run()
    node.source.wish = Wish(rollback=True, asked="1")
    node.run()
    node.a_week_later()
    node.run()
    assert [each.version for each in node.slots.esp] == [FIRST]
    node.leave = ()
    node.cut_power()
    offer(node, LATER)
    node.run()
    assert node.boots == [FIRST, FIRST, FIRST, LATER]


def test_a_version_after_the_one_that_was_left_is_remembered_if_it_fails_and_the_node_goes_on(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    node.run()
    node.source.wish = Wish(rollback=True, asked="1")
    node.run()
    offer(node, LATER, Behaviour.PANICS)
    node.run()
    for version in (NEXT, LATER):
        node.releases.channels[STABLE] = version
        node.a_week_later()
        node.run()
    assert node.boots == [FIRST, NEXT, FIRST, LATER, LATER, LATER, FIRST]


def test_last_words_that_cannot_be_read_leave_no_failure_unsettled(node: FakeNode) -> None:
    def unreadable(_: Memory) -> tuple[str, ...]:
        raise OSError(5, "Input/output error")

    node.run()
    offer(node, NEXT, Behaviour.PANICS)
    while not node.rebooting:
        node.round()
    node.boot()
    assert node.agent is not None
    node.agent.last_lines = unreadable
    node.run()
    (failure,) = node.memory.failures
    assert failure.last_lines == ("A file of the agent cannot be used. [Errno 5] Input/output error",)


def asked_to_reboot(node: FakeNode) -> int:
    return sum(line.startswith("Rebooting:") for line in node.said)


def test_a_reboot_that_waits_for_pods_is_not_asked_for_again_until_its_time_is_over(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    while not node.rebooting:
        node.round()
    asked = node.clock.monotonic()
    while asked_to_reboot(node) == 1:
        assert node.round()
        assert node.status is not None
        assert node.status.busy
    assert node.clock.monotonic() - asked >= REBOOT_SECONDS
    reasons = [line.reason for line in node.memory.history]
    assert reasons[0] == f"the next boot tries {NEXT}"


def test_a_reboot_that_was_refused_is_asked_for_again_soon(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    node.stuck = True
    while not asked_to_reboot(node):
        node.round()
    node.round()
    assert asked_to_reboot(node) == 2


def test_a_node_that_stays_on_a_version_that_failed_is_not_busy(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT, Behaviour.SICK)
    while not node.rebooting:
        node.round()
    node.slots.esp = [each for each in node.slots.esp if each.version == NEXT]
    node.boot()
    node.source.wish = Wish(asked="now")
    node.run()
    assert node.status is not None
    assert (node.status.state, node.status.asked, node.status.busy) == (State.FAILED, "now", False)


@pytest.mark.parametrize("staged", [False, True], ids=["writing", "staged"])
def test_whoever_tells_a_node_to_go_back_while_it_updates_learns_that_it_stays(node: FakeNode, *, staged: bool) -> None:
    node.run()
    node.leave = (Never(),)
    node.cut_power()
    offer(node, NEXT)
    node.boot()
    while node.memory.state is not (State.STAGED if staged else State.WRITING):
        node.round()
    assert node.status is not None
    before, wish = node.status, Wish(rollback=True, asked="1")
    node.source.wish = wish
    node.run()
    assert why_not(before, node.status, wish) == ""


def test_whoever_tells_a_node_to_go_back_learns_that_it_went_or_why_not(node: FakeNode) -> None:
    def told(number: int) -> str:
        before, wish = node.status, Wish(rollback=True, asked=str(number))
        node.source.wish = wish
        node.run()
        assert before is not None
        assert node.status is not None
        return why_not(before, node.status, wish)

    node.run()
    assert told(1) == NOWHERE
    node.source.wish = Wish()
    offer(node, NEXT)
    node.run()
    assert told(2) == ""
    node.behaviour[NEXT] = Behaviour.SICK
    assert told(3) == NOT_HEALTHY
    assert told(4) == NOWHERE


def judged_bad_and_not_left(node: FakeNode) -> None:
    """NEXT was gone back to and is judged not to work; the gate chose FIRST, and its reboot did not come about."""
    node.behaviour[NEXT] = Behaviour.SICK
    node.source.wish = AGAIN
    while not node.rebooting:
        node.round()
    node.stuck = True
    node.boot()
    assert node.slots.entries()[0].version == FIRST


def test_nothing_is_begun_while_what_was_gone_back_to_and_failed_waits_for_its_reboot(went_back: FakeNode) -> None:
    node = went_back
    judged_bad_and_not_left(node)
    offer(node, LATER)
    for _ in range(20):
        node.round()
    assert {each.version for each in node.slots.esp} == {FIRST, NEXT}
    node.stuck = False
    node.cut_power()
    node.run()
    assert node.boots == [FIRST, NEXT, FIRST, NEXT, FIRST, LATER]


def test_what_was_gone_back_to_and_failed_is_left_by_a_reboot_of_the_agent_as_well(went_back: FakeNode) -> None:
    node = went_back
    judged_bad_and_not_left(node)
    node.stuck = False
    node.run()
    assert f"Rebooting: {NEXT} is not healthy, and {FIRST} is to run instead." in node.said
    assert node.version == FIRST
    assert [(each.version, each.reason) for each in node.memory.failures] == [(NEXT, NOT_HEALTHY)]


def test_a_machine_that_was_not_healthy_yet_installs_nothing_and_loses_no_release(node: FakeNode) -> None:
    """Such as one whose cluster had no network then."""
    node.behaviour[FIRST] = Behaviour.SICK
    offer(node, NEXT)
    node.run()
    assert node.status is not None
    assert (node.memory.state, node.status.busy) == (State.IDLE, False)
    assert node.status.doing == (
        f"the running {FIRST} has to be healthy in one boot before another is installed: kubelet: /healthz: refused"
    )
    node.behaviour[FIRST] = Behaviour.WORKS
    node.cut_power()
    node.run()
    assert (node.version, node.memory.failures) == (NEXT, ())


def test_an_older_version_that_does_not_come_up_takes_no_turns_with_one_that_is_not_healthy_since(
    node: FakeNode,
) -> None:
    node.run()
    older = "Bedplate-1.37-amd64-202611.10.0"
    offer(node, older, Behaviour.PANICS)
    node.source.wish = Wish(version=older, asked="1")
    while not node.rebooting:
        node.round()
    node.behaviour[FIRST] = Behaviour.SICK
    for _ in range(3):
        node.run()
        node.cut_power()
    assert node.boots == [FIRST, older, older, older, FIRST, FIRST, FIRST]
    node.behaviour[FIRST] = Behaviour.WORKS
    node.run()
    assert [(each.version, each.left) for each in node.slots.esp] == [(FIRST, None)]


def test_a_version_that_was_never_started_is_not_remembered_as_one_that_failed(node: FakeNode) -> None:
    """The power went once its UKI was gone from the ESP, and before that was written down."""
    node.run()
    node.leave = (Never(),)
    node.cut_power()
    offer(node, NEXT)
    node.run()
    node.source.wish, node.slots.cut_in = Wish(pinned=True), 2
    node.slots.calls = 0
    with pytest.raises(PowerCut):
        node.run()
    assert (node.memory.state, len(node.slots.esp)) == (State.DROPPING, 1)
    node.cut_power()
    node.run()
    assert (node.memory.state, node.memory.failures) == (State.IDLE, ())
    node.leave = ()
    node.source.wish = Wish()
    node.cut_power()
    node.run()
    assert node.version == NEXT


def test_an_older_version_is_installed_though_the_power_went_before_the_loader_was_told_to_prefer_it(
    node: FakeNode,
) -> None:
    node.run()
    older = "Bedplate-1.37-amd64-202611.10.0"
    offer(node, older)
    node.source.wish = Wish(version=older, asked="1")
    while node.memory.state is not State.INSTALLING:
        node.round()
    node.slots.esp.append(entry_under(older, node.slots.other.root_hash, 3))
    node.cut_power()
    node.run()
    assert (node.version, node.memory.state, node.memory.failures) == (older, State.GOOD, ())


def test_what_failed_is_remembered_until_another_boot_of_it_is_healthy(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT, Behaviour.SICK)
    node.run()
    node.leave = (Never(),)
    node.cut_power()
    node.source.wish = Wish(asked="try again")
    node.run()
    assert node.memory.state is State.STAGED
    node.source.wish = Wish(pinned=True)
    node.run()
    node.leave = ()
    node.source.wish = Wish()
    node.cut_power()
    node.run()
    assert node.status is not None
    assert (node.version, node.status.doing) == (FIRST, f"{NEXT} is not tried again unless told: {NOT_HEALTHY}")


def test_a_damaged_memory_stays_damaged_until_the_disk_can_stand_in(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT, Behaviour.PANICS)
    node.run()
    node.slots.esp.append(entry_under(NEXT, node.slots.other.root_hash, 0))
    (node.folder / "memory.json").write_bytes(b'{"state": "Roll')
    node.source = Stumbling()
    node.slots.damaged = True
    for _ in range(2):
        node.boot()
        node.round()
    node.slots.damaged, node.source = False, FixedWish()
    node.cut_power()
    node.run()
    assert node.version == FIRST
    assert any("could not be read before" in line.reason for line in node.memory.history)


def test_a_healthy_version_on_trial_is_blessed_though_the_wish_cannot_be_read_any_more(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    while not node.rebooting:
        node.round()
    node.source = Stumbling()
    node.boot()
    for _ in range(3):
        node.round()
    assert (node.version, node.memory.state) == (NEXT, State.GOOD)
    assert node.status is not None
    assert node.status.doing == "What this node is to become cannot be read."


def test_what_is_staged_is_not_booted_while_it_is_not_known_whether_it_is_wanted(node: FakeNode) -> None:
    node.run()
    offer(node, NEXT)
    while node.memory.state is not State.STAGED:
        node.round()
    source, node.source = node.source, Stumbling()
    node.agent = node._make_agent()
    node.agent.start()
    for _ in range(5):
        node.round()
    assert (node.memory.state, node.rebooting) == (State.STAGED, False)
    node.agent.wishes = (source,)
    node.run()
    assert node.version == NEXT


def test_what_is_staged_is_dropped_for_a_version_by_name_that_is_not_there(node: FakeNode) -> None:
    node.run()
    node.leave = (Never(),)
    node.cut_power()
    offer(node, NEXT)
    node.run()
    node.source.wish = Wish(version=LATER, asked="1")
    node.run()
    assert [each.version for each in node.slots.esp] == [FIRST]


def test_a_boot_that_is_not_healthy_is_told_also_where_nothing_else_is_wanted(node: FakeNode) -> None:
    node.behaviour[FIRST] = Behaviour.SICK
    node.run()
    assert node.status is not None
    assert node.status.unhealthy == ("kubelet: /healthz: refused",)
    node.behaviour[FIRST] = Behaviour.WORKS
    node.cut_power()
    node.run()
    assert node.status.unhealthy == ()


def test_whoever_tells_a_node_to_go_back_learns_that_what_it_went_to_is_not_healthy_and_nothing_else_is_there(
    went_back: FakeNode,
) -> None:
    node = went_back
    before = node.status
    node.behaviour[NEXT] = Behaviour.SICK
    node.source.wish = AGAIN
    while not node.rebooting:
        node.round()
    node.slots.rot(running=True)
    node.boot()
    node.run()
    assert before is not None
    assert node.status is not None
    assert (node.version, node.memory.state) == (NEXT, State.ROLLED_BACK)
    assert why_not(before, node.status, AGAIN) == f"{NEXT} runs and is not healthy: kubelet: /healthz: refused"


def test_a_version_that_was_blessed_and_set_back_for_one_that_was_dropped_is_as_good_as_before(node: FakeNode) -> None:
    node.run()
    older = "Bedplate-1.37-amd64-202611.10.0"
    node.behaviour[FIRST] = Behaviour.SICK
    node.leave = (Never(),)
    node.cut_power()
    offer(node, older)
    node.source.wish = Wish(version=older, asked="1")
    node.run()
    assert node.memory.state is State.STAGED
    node.source.wish = Wish(pinned=True)
    node.run()
    assert [(each.version, each.left) for each in node.slots.esp] == [(FIRST, None)]


def test_a_staged_version_is_staged_still_though_somebody_started_what_ran_before(node: FakeNode) -> None:
    node.run()
    node.leave = (Never(),)
    node.cut_power()
    offer(node, NEXT)
    node.run()
    node.boot(picked=FIRST)
    node.run()
    assert (node.memory.state, node.memory.failures) == (State.STAGED, ())


def test_a_version_that_failed_and_is_healthy_when_somebody_starts_it_is_a_way_back_again(node: FakeNode) -> None:
    node.run()
    older = "Bedplate-1.37-amd64-202611.10.0"
    offer(node, older, Behaviour.PANICS)
    node.source.wish = Wish(version=older, asked="1")
    while not node.rebooting:
        node.round()
    node.behaviour[FIRST] = Behaviour.SICK
    node.run()
    node.behaviour[older] = Behaviour.WORKS
    node.boot(picked=older)
    node.run()
    assert (node.version, node.memory.failures) == (older, ())


def test_a_bundle_s_place_that_cannot_be_looked_at_keeps_no_wish_from_being_heard(node: FakeNode) -> None:
    def fails() -> str:
        raise ValueError("embedded null byte")

    node.run()
    offer(node, NEXT)
    node.run()
    node.boot()
    assert node.agent is not None
    node.agent.carried = fails
    node.source.wish = Wish(rollback=True, asked="1")
    while not node.rebooting:
        node.agent.rest(node.agent.round())
    node.boot()
    assert node.version == FIRST
