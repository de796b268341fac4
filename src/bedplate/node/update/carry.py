"""Carries out one step of the plan through the doors. Each may be interrupted anywhere and done again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from bedplate.host.files import write_atomically
from bedplate.host.run import Runner
from bedplate.model.errors import OurError, PeerError, UserError, briefly
from bedplate.node.slots.slots import Slots, Unusable
from bedplate.node.update.facts import Facts
from bedplate.node.update.leave import LeaveToReboot
from bedplate.node.update.memory import Failure, Memory, forget_failure, move, note, remember_failure
from bedplate.node.update.plan import Deed, Step
from bedplate.node.update.rules import DROPPED
from bedplate.node.update.states import Event, State
from bedplate.node.update.taking import Taker
from bedplate.wire.desired import Wish
from bedplate.wire.release import Release, decode, encode
from bedplate.wire.signature import SignedByAnother

RELEASE = "release.json"
GIVING = (State.STAGED, State.ROLLING_BACK)
"""States in which leave to reboot is still to be given."""


@dataclass(frozen=True, slots=True)
class Work:
    """A step and all that it is taken with; `offered` is the release that the wish comes to now.

    `keep` writes a memory down in the place of `memory`, at once: what comes after it may fail.
    """

    step: Step
    memory: Memory
    facts: Facts
    wish: Wish
    offered: Release | None
    keep: Callable[[Memory], None]

    def moved(self, event: Event, reason: str) -> Memory:
        """The memory after an event of this step."""
        facts = self.facts
        return move(self.memory, event, at=facts.now, boot=facts.boot, reason=reason, target=self.step.target)

    def noted(self, reason: str) -> Memory:
        return note(self.memory, at=self.facts.now, version=self.facts.version, reason=reason)

    def refused(self, release: Release, reason: str) -> Memory:
        """What no attempt can mend is remembered as a failure, before it was booted at all."""
        failure = Failure(
            version=release.version,
            root_hash=release.verity.root_hash,
            reason=reason,
            at=self.facts.now,
            asked=self.memory.target.asked if self.memory.target else "",
        )
        return remember_failure(self.moved(Event.NOT_WANTED, reason), failure)

    def given_up(self, reason: str) -> Memory:
        """The version to go back to is remembered as one that does not work, so that nothing boots it by accident."""
        after, target = self.moved(Event.NOT_WHOLE, reason), self.memory.target
        if target is None:
            return after
        failure = Failure(
            version=target.from_version,
            root_hash=target.from_hash,
            reason=reason,
            at=self.facts.now,
            asked=target.asked,
        )
        return remember_failure(after, failure)


@dataclass(frozen=True, slots=True)
class Hands:
    """The doors to carry out with. `say` tells people; `folder` is the agent's own."""

    slots: Slots
    taker: Taker
    leave: Sequence[LeaveToReboot]
    runner: Runner
    folder: Path
    say: Callable[[str], None]

    def carry_out(self, work: Work) -> None:
        """Take the step and keep the memory after it. Raises `PeerError` and `MachineError`: then it is taken again."""
        work.keep(self._deeds()[work.step.deed](work))

    def _deeds(self) -> Mapping[Deed, Callable[[Work], Memory]]:
        return {
            Deed.WAIT: lambda work: work.memory,
            Deed.BEGIN: self._begin,
            Deed.CLEAR: self._clear,
            Deed.WRITE: self._write,
            Deed.SEAL: self._seal,
            Deed.INSTALL: self._install,
            Deed.REBOOT: self._reboot,
            Deed.DROP: self._drop,
            Deed.GO_BACK: self._go_back,
            Deed.ANSWER: self._answer,
            Deed.CHOOSE: self._choose,
            Deed.BLESS: self._bless,
            Deed.TIDY: self._tidy,
            Deed.END_LEAVE: self._end_leave,
        }

    def _begin(self, work: Work) -> Memory:
        """The manifest is kept: from here on, the repository may be away whenever no payload is needed."""
        if work.offered is None or work.step.target is None:
            raise OurError("An update was begun without a release.", details=work.step.reason)
        after = work.moved(Event.WANTED, work.step.reason)
        write_atomically(self.folder / RELEASE, encode(work.offered), mode=0o600)
        return msgspec.structs.replace(after, answered=work.step.target.asked)

    def _clear(self, work: Work) -> Memory:
        self.slots.clear()
        return work.moved(Event.CLEARED, "the boot loader can choose only what runs")

    def _write(self, work: Work) -> Memory:
        way = self.taker.take_usr(self._release_of(work))
        return work.moved(Event.WRITTEN, f"/usr is in the other slot: {way}")

    def _seal(self, work: Work) -> Memory:
        """The chunks were what was signed; a root hash that differs from them is the publisher's, and stays so."""
        release = self._release_of(work)
        try:
            self.slots.seal(release)
        except Unusable as problem:
            return work.refused(release, f"its data does not have its root hash: {briefly(problem)}")
        self.slots.identify(release)
        return work.moved(Event.SEALED, "hash tree, signature and identity are written")

    def _install(self, work: Work) -> Memory:
        """An older version needs one more write after it is armed, which a crash may have left out."""
        release, entries, way = self._release_of(work), work.facts.entries, "it was there already"
        wanted = release.verity.root_hash
        if not any(each.root_hash == wanted for each in entries):
            try:
                way = self.taker.take_uki(release)
            except (SignedByAnother, Unusable) as problem:
                return work.refused(release, briefly(problem))
        elif entries[0].root_hash != wanted:
            self.slots.choose_other()
        self.taker.clear()
        return work.moved(Event.INSTALLED, f"the UKI is installed with its tries: {way}")

    def _reboot(self, work: Work) -> Memory:
        """Leave has been given; systemd is asked, whose logind lets the kubelet end pods within their grace.

        What failed is left only for what is whole now, whatever was chosen and however long ago.
        """
        memory = work.memory
        if memory.state is State.FAILED or memory.resting:
            try:
                self.slots.choose_other(on_trial=False)
            except UserError as problem:
                return work.noted(f"it stays, for want of a better one: {briefly(problem)}")
        if memory.state in GIVING:
            memory = work.moved(Event.LEAVE_GIVEN, work.step.reason)
            work.keep(memory)
        self.say(f"Rebooting: {work.step.reason}.")
        self.runner.run(["systemctl", "reboot"], seconds=60)
        return memory

    def _drop(self, work: Work) -> Memory:
        memory = work.memory
        if memory.state is not State.DROPPING:
            memory = work.moved(Event.NOT_WANTED, work.step.reason)
            if work.wish.rollback:
                memory = msgspec.structs.replace(memory, answered=work.wish.asked)
            work.keep(memory)
        self.slots.bless()  # it was before an older version was preferred to it
        self.slots.clear()
        self.taker.clear()
        return replace(work, memory=memory).moved(Event.CLEARED, DROPPED) if memory.state is State.DROPPING else memory

    def _go_back(self, work: Work) -> Memory:
        return msgspec.structs.replace(work.moved(Event.GO_BACK, work.step.reason), answered=work.wish.asked)

    def _answer(self, work: Work) -> Memory:
        """What was left or dropped before stays so; without that, the step's own target is what counts as left."""
        target = work.memory.target or work.step.target
        return msgspec.structs.replace(work.noted(work.step.reason), answered=work.wish.asked, target=target)

    def _choose(self, work: Work) -> Memory:
        try:
            self.slots.choose_other()
        except UserError as problem:
            return work.given_up(briefly(problem))
        return work.noted("the boot loader will start the other version")

    def _bless(self, work: Work) -> Memory:
        self.slots.bless()
        on_trial = work.memory.state in (State.TRYING, State.FAILED)
        memory = work.moved(Event.BLESSED, "healthy, and blessed") if on_trial else work.memory
        failure = memory.failure_of(work.facts.root_hash)
        return memory if failure is None or failure.by_hand else forget_failure(memory, failure.root_hash)

    def _tidy(self, work: Work) -> Memory:
        self.slots.clear()
        return work.memory

    def _end_leave(self, work: Work) -> Memory:
        problems = [problem for each in self.leave if (problem := each.give_back())]
        if problems:
            raise PeerError("The leave to reboot could not be given back.", details="; ".join(problems))
        return msgspec.structs.replace(work.memory, leave_held=False)

    def _release_of(self, work: Work) -> Release:
        wanted = work.memory.target.root_hash if work.memory.target else ""
        if work.offered is not None and work.offered.verity.root_hash == wanted:
            return work.offered
        try:
            kept = decode((self.folder / RELEASE).read_bytes(), Release)
        except OSError as problem:
            raise PeerError("The manifest of what is being installed is lost.", details=str(problem)) from problem
        if kept.verity.root_hash != wanted:
            raise PeerError("The manifest that was kept is of another version.", details=kept.version)
        return kept
