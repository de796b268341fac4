"""Carries out one step of the plan through the doors. Each may be interrupted anywhere and done again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bedplate.host.files import write_atomically
from bedplate.host.run import Runner
from bedplate.model.errors import OurError, PeerError, briefly
from bedplate.node.slots.slots import Slots
from bedplate.node.update.leave import LeaveToReboot
from bedplate.node.update.memory import Failure, Memory, Target, forget_failure, move, note, remember_failure
from bedplate.node.update.plan import Deed, Facts, Step
from bedplate.node.update.states import Event, State
from bedplate.node.update.taking import Taker
from bedplate.wire.desired import Wish
from bedplate.wire.release import Release, decode, encode
from bedplate.wire.signature import SignedByAnother

RELEASE = "release.json"
GIVING = (State.STAGED, State.ROLLING_BACK)
"""States in which leave to reboot is still to be given."""


@dataclass(frozen=True, slots=True)
class Hands:
    """The doors to carry out with. `save` writes the memory down, `say` tells people; `folder` is the agent's own."""

    slots: Slots
    taker: Taker
    leave: Sequence[LeaveToReboot]
    runner: Runner
    folder: Path
    save: Callable[[Memory], None]
    say: Callable[[str], None]

    def carry_out(self, step: Step, memory: Memory, facts: Facts, wish: Wish, release: Release | None) -> Memory:
        """The memory after the step, written down. Raises `PeerError` and `MachineError`; then the state stays."""
        after = self._do(step, memory, facts, wish, release)
        if after != memory:
            self.save(after)
        return after

    def _do(self, step: Step, memory: Memory, facts: Facts, wish: Wish, release: Release | None) -> Memory:
        def moved(event: Event, reason: str) -> Memory:
            return move(memory, event, at=facts.now, boot=facts.boot, reason=reason, target=step.target)

        match step.deed:
            case Deed.WAIT:
                return memory
            case Deed.BEGIN if step.target and release:
                return self._begin(step.target, moved(Event.WANTED, step.reason), release)
            case Deed.CLEAR:
                self.slots.clear()
                return moved(Event.CLEARED, "the boot loader can choose only what runs")
            case Deed.WRITE:
                way = self.taker.take_usr(self._release_of(memory, release))
                return moved(Event.WRITTEN, f"/usr is in the other slot: {way}")
            case Deed.SEAL:
                return self._seal(memory, facts, self._release_of(memory, release))
            case Deed.INSTALL:
                return self._install(memory, facts, self._release_of(memory, release))
            case Deed.REBOOT:
                return self._reboot(memory, facts, step.reason)
            case Deed.DROP:
                return self._drop(memory, facts, step.reason, wish)
            case Deed.GO_BACK if step.target:
                after = msgspec.structs.replace(moved(Event.GO_BACK, step.reason), answered=wish.asked)
                return forget_failure(after, step.target.from_hash)
            case Deed.CHOOSE:
                self.slots.choose_other()
                return note(memory, at=facts.now, version=facts.version, reason="the boot loader will start the other")
            case Deed.BLESS:
                self.slots.bless()
                return moved(Event.BLESSED, "healthy, and blessed") if memory.state is State.TRYING else memory
            case Deed.TIDY:
                self.slots.clear()
                return memory
            case Deed.END_LEAVE:
                return self._end_leave(memory)
            case _:
                raise OurError(f"The step {step.deed!r} lacks what it needs.", details=step.reason)

    def _begin(self, target: Target, after: Memory, release: Release) -> Memory:
        """The manifest is kept: from here on, the repository may be away whenever no payload is needed."""
        write_atomically(self.folder / RELEASE, encode(release), mode=0o600)
        return msgspec.structs.replace(forget_failure(after, target.root_hash), answered=target.asked)

    def _release_of(self, memory: Memory, offered: Release | None) -> Release:
        wanted = memory.target.root_hash if memory.target else ""
        if offered is not None and offered.verity.root_hash == wanted:
            return offered
        try:
            kept = decode((self.folder / RELEASE).read_bytes(), Release)
        except OSError as problem:
            raise PeerError("The manifest of what is being installed is lost.", details=str(problem)) from problem
        if kept.verity.root_hash != wanted:
            raise PeerError("The manifest that was kept is of another version.", details=kept.version)
        return kept

    def _seal(self, memory: Memory, facts: Facts, release: Release) -> Memory:
        """The chunks were what was signed; a root hash that differs from them is the publisher's, and stays so."""
        try:
            self.slots.seal(release)
        except PeerError as problem:
            return _refused(memory, facts, release, f"its data does not have its root hash: {briefly(problem)}")
        self.slots.identify(release)
        reason = "hash tree, signature and identity are written"
        return move(memory, Event.SEALED, at=facts.now, boot=facts.boot, reason=reason)

    def _install(self, memory: Memory, facts: Facts, release: Release) -> Memory:
        """An older version needs one more write after it is armed, which a crash may have left out."""
        wanted = release.verity.root_hash
        way = "it was there already"
        if not any(each.root_hash == wanted for each in facts.entries):
            try:
                way = self.taker.take_uki(release)
            except SignedByAnother as problem:
                return _refused(memory, facts, release, briefly(problem))
        elif facts.entries[0].root_hash != wanted:
            self.slots.choose_other()
        reason = f"the UKI is installed with its tries: {way}"
        return move(memory, Event.INSTALLED, at=facts.now, boot=facts.boot, reason=reason)

    def _reboot(self, memory: Memory, facts: Facts, reason: str) -> Memory:
        """Leave has been given; systemd is asked, whose logind lets the kubelet end pods within their grace."""
        if memory.state in GIVING:
            memory = move(memory, Event.LEAVE_GIVEN, at=facts.now, boot=facts.boot, reason=reason)
            memory = msgspec.structs.replace(memory, leave_held=bool(self.leave))
            self.save(memory)
        self.say(f"Rebooting: {reason}.")
        self.runner.run(["systemctl", "reboot"], seconds=60)
        return memory

    def _drop(self, memory: Memory, facts: Facts, reason: str, wish: Wish) -> Memory:
        if memory.state is not State.DROPPING:
            memory = move(memory, Event.NOT_WANTED, at=facts.now, boot=facts.boot, reason=reason)
            if wish.rollback:
                memory = msgspec.structs.replace(memory, answered=wish.asked)
            self.save(memory)
        self.slots.clear()
        if memory.state is State.DROPPING:
            memory = move(memory, Event.CLEARED, at=facts.now, boot=facts.boot, reason="nothing of it can boot")
        return memory

    def _end_leave(self, memory: Memory) -> Memory:
        problems = [problem for each in self.leave if (problem := each.give_back())]
        if problems:
            raise PeerError("The leave to reboot could not be given back.", details="; ".join(problems))
        return msgspec.structs.replace(memory, leave_held=False)


def _refused(memory: Memory, facts: Facts, release: Release, reason: str) -> Memory:
    """What no attempt can mend is remembered as a failure, before it was booted at all."""
    failure = Failure(
        version=release.version,
        root_hash=release.verity.root_hash,
        reason=reason,
        at=facts.now,
        asked=memory.target.asked if memory.target else "",
    )
    memory = remember_failure(memory, failure)
    return move(memory, Event.NOT_WANTED, at=facts.now, boot=facts.boot, reason=reason)
