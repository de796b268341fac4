"""No sequence of events leaves a node without a version that boots and works, or stuck. Hypothesis looks for one."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bedplate.node.slots.loader import in_order
from bedplate.node.update.record import Record
from bedplate.node.update.states import State
from bedplate.testing.node import FIRST, Behaviour, FakeNode
from bedplate.testing.two_slots import PowerCut
from bedplate.wire.desired import Wish

STABLE = "1.37/stable"
VERSIONS = {f"Bedplate-1.37-amd64-202611.{21 + number}.0": each for number, each in enumerate(Behaviour)}
SOUND = next(version for version, behaviour in VERSIONS.items() if behaviour is Behaviour.WORKS)
COME_UP = [version for version, each in VERSIONS.items() if each in (Behaviour.WORKS, Behaviour.SICK)]


class Gate:
    """Somebody who is asked for leave to reboot, and may say no. The leave is held until it is given back."""

    closed = held = False

    def ask(self) -> str:
        self.held = self.held or not self.closed
        return "not now" if self.closed else ""

    def give_back(self) -> str:
        self.held = self.held and self.closed
        return "away" if self.closed else ""


class Node(RuleBasedStateMachine):
    """A node with versions of every behaviour in its repository, and whatever may happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()
        self.asked = 0
        self.lost = False
        """Whether the slot of what worked was lost as a version was tried; that may be all that is left."""

    @initialize()
    def begin(self) -> None:
        self.node = FakeNode(Path(self.temporary.name))
        self.node.install_first()
        self.node.releases.channels[STABLE] = FIRST
        for version, behaviour in VERSIONS.items():
            self.node.publish(version, behaviour)
        self.gate = Gate()
        self.node.leave = (self.gate,)

    @rule(version=st.sampled_from(sorted(VERSIONS)))
    def point_the_channel(self, version: str) -> None:
        self.node.releases.channels[STABLE] = version
        self.node.a_week_later()

    @rule(version=st.sampled_from([FIRST, *VERSIONS]))
    def ask_for(self, version: str) -> None:
        self.node.source.wish = Wish(version=version, asked=self._new())

    @rule()
    def ask_to_go_back(self) -> None:
        self.node.source.wish = Wish(rollback=True, asked=self._new())

    @rule(pinned=st.booleans())
    def pin(self, *, pinned: bool) -> None:
        self.node.source.wish = Wish(pinned=pinned)

    @rule(away=st.booleans())
    def mirrors(self, *, away: bool) -> None:
        self.node.releases.away = away

    @rule(version=st.sampled_from(sorted(VERSIONS)), withdrawn=st.booleans())
    def withdraw(self, version: str, *, withdrawn: bool) -> None:
        self.node.releases.withdrawn.pop(version, None)
        if withdrawn:
            self.node.releases.withdrawn[version] = "it eats disks"

    @rule(closed=st.booleans())
    def leave_to_reboot(self, *, closed: bool) -> None:
        self.gate.closed = closed

    @rule(full=st.booleans())
    def the_state_disk_is_full(self, *, full: bool) -> None:
        self.node.full = full

    @rule(alone=st.booleans())
    def the_cluster_is_away(self, *, alone: bool) -> None:
        """What works is judged not to, meanwhile."""
        self.node.alone = alone

    @rule(failing=st.booleans())
    def the_other_slot_has_read_errors(self, *, failing: bool) -> None:
        self.node.slots.failing = failing and not self.is_rotten()

    @rule(damaged=st.booleans())
    def the_esp_is_damaged(self, *, damaged: bool) -> None:
        self.node.slots.damaged = damaged and not self.is_rotten()

    @rule()
    def the_other_slot_rots(self) -> None:
        """While what runs stays up and the loader would go on with it: on trial as well."""
        slots, memory = self.node.slots, self.node.memory
        looked_at = memory.resting or memory.state in (State.TRYING, State.FAILED, State.ROLLING_BACK)
        listed = any(each.root_hash == slots.other.root_hash for each in slots.esp)
        stays = in_order(slots.esp)[0].root_hash == slots.root_hash
        if looked_at and listed and stays and self.is_sound():
            slots.rot()

    @rule(version=st.sampled_from(COME_UP), judged=st.booleans(), boots=st.integers(1, 4))
    def what_ran_rots_as_another_version_is_tried(self, version: str, *, judged: bool, boots: int) -> None:
        """It comes up, or else two failed at once. Whether it works or not, there is nothing to go back to.

        It may be told so before it is judged, or after, when the loader was told to go back and the reboot is stuck.
        """
        node, slots = self.node, self.node.slots
        node.full = node.stuck = False
        node.source.wish = Wish(version=version, asked=self._new())
        if not self.is_sound() or not self._reboots_into(version):
            return
        self.lost, node.stuck = True, judged
        if not judged:
            slots.rot(running=True)
        node.boot()
        if judged:
            slots.rot()
        node.stuck = False
        for _ in range(boots):
            if judged:
                node.round()
            if node.rebooting or not judged:
                node.boot()

    def is_sound(self) -> bool:
        """Whether nothing is wrong with the disk; nor will be, before it is noticed that something is lost."""
        slots = self.node.slots
        slots.cut_in = -1
        return not (slots.failing or slots.damaged)

    def _reboots_into(self, version: str) -> bool:
        """Go on until the node is about to; whether it is."""
        node = self.node
        if node.agent is None:
            node.boot()
        for _ in range(12):
            node.round()
            if node.rebooting:
                break
        chosen = in_order(node.slots.esp)[0]
        return node.rebooting and chosen.version == version and chosen.root_hash != node.slots.root_hash

    def is_rotten(self) -> bool:
        """Whether the loader has an entry for what is lost."""
        listed = {each.root_hash for each in self.node.slots.esp}
        return any(each.root_hash in listed and not each.whole for each in self.node.slots.contents)

    @rule(rounds=st.integers(1, 12))
    def go_on(self, rounds: int) -> None:
        try:
            for _ in range(rounds):
                if self.node.agent is None:
                    self.node.boot()
                self.node.round()
                if self.node.rebooting:
                    self.node.cut_power()
        except PowerCut:
            self.node.cut_power()

    @rule(calls=st.integers(1, 6))
    def the_power_will_go(self, calls: int) -> None:
        self.node.slots.cut_in = -1 if self.is_rotten() else calls

    @rule()
    def the_power_goes(self) -> None:
        self.node.cut_power()

    @rule(stuck=st.booleans())
    def reboots_do_not_come_about(self, *, stuck: bool) -> None:
        self.node.stuck = stuck

    @rule(version=st.sampled_from([FIRST, *VERSIONS]))
    def somebody_picks_a_version_at_the_loader(self, version: str) -> None:
        """What was lost of it does not come up, and the loader chooses then."""
        self.node.cut_power()
        whole = any(each.version == version and each.whole for each in self.node.slots.contents)
        with suppress(PowerCut):
            self.node.boot(picked=version if whole else "")

    @rule()
    def the_memory_is_lost(self) -> None:
        (self.node.folder / "memory.json").write_bytes(b"{")
        self.node.cut_power()

    @rule()
    def once_all_is_well_a_version_that_works_is_reached(self) -> None:
        """Without a boot, which gets out of most: only what was judged not to work has to be left by one."""
        node = self.node
        node.releases.away = node.full = node.slots.failing = node.slots.damaged = self.gate.closed = False
        node.stuck = node.alone = False
        node.releases.withdrawn.clear()
        node.slots.cut_in = -1
        if Record(node.folder).read()[1]:
            node.run()  # a request that is there as a lost memory is made anew counts as one from before
        node.source.wish = Wish(version=SOUND, asked=self._new())
        if self.lost:
            # Somebody has to see to what is wrong: nothing else is there.
            node.behaviour[in_order(node.slots.esp)[0].version] = Behaviour.WORKS
            self.lost = False
            node.cut_power()
        counted = any(each.root_hash == node.slots.root_hash and each.left is not None for each in node.slots.esp)
        if node.memory.state is State.FAILED or (counted and node.verdict and not node.verdict.passed):
            node.cut_power()
        node.run()
        assert node.version == SOUND, node.said[-5:]
        assert node.memory.resting
        assert not self.gate.held

    @invariant()
    def something_that_works_can_be_booted(self) -> None:
        """Or, where that was lost, what comes up."""
        enough = (Behaviour.WORKS, Behaviour.SICK) if self.lost else (Behaviour.WORKS,)
        whole = {each.root_hash for each in self.node.slots.contents if each.whole}
        entries = [each for each in self.node.slots.esp if each.root_hash in whole]
        assert any(self.node.behaviour[each.version] in enough for each in entries), entries

    @invariant()
    def every_entry_has_its_slot(self) -> None:
        """The loader's choice is whole, and no slot is being written over while another entry leads to it."""
        slots = self.node.slots
        assert next(each for each in slots.contents if each.root_hash == in_order(slots.esp)[0].root_hash).whole
        assert {each.root_hash for each in slots.esp} <= {each.root_hash for each in slots.contents}

    def teardown(self) -> None:
        self.temporary.cleanup()

    def _new(self) -> str:
        self.asked += 1
        return str(self.asked)


Node.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestNode = Node.TestCase
