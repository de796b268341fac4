"""The agent: gathers, settles what the boot shows, and takes one step after another until there is none to take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bedplate.host.clock import Clock
from bedplate.model.errors import MachineError, PeerError, UserError, briefly
from bedplate.node.update.carry import GIVING, Hands, Work
from bedplate.node.update.leave import ask_all
from bedplate.node.update.memory import Memory, note
from bedplate.node.update.plan import Deed, Facts, Offer, Step, next_step
from bedplate.node.update.record import Record
from bedplate.node.update.rules import recover, settle
from bedplate.node.update.wishes import WishSource, first_wish
from bedplate.wire.desired import Wish

LOOK_SECONDS = 15.0
"""Between two looks at what is wanted; the repository is asked much less often."""
FIRST_PAUSE, LONGEST_PAUSE = 15.0, 900.0
"""Seconds after a step that failed; twice as many after each further one."""


class Publish(Protocol):
    """Tells the outside what is being done or waited for, in words; `busy` is that it is not over."""

    def __call__(self, memory: Memory, facts: Facts, wish: Wish, doing: str, *, busy: bool) -> None: ...


@dataclass(slots=True)
class Agent:
    """One run of the agent, under its lock.

    `gather` gives the facts, `offer` what a wish comes to; `last_lines` what the boot before wrote last.
    `check_seconds` is between two looks at the repository.
    """

    gather: Callable[[], Facts]
    wishes: Sequence[WishSource]
    offer: Callable[[Wish], Offer]
    hands: Hands
    record: Record
    publish: Publish
    last_lines: Callable[[Memory], tuple[str, ...]]
    clock: Clock
    say: Callable[[str], None]
    check_seconds: Callable[[], float]
    memory: Memory = field(default_factory=Memory)
    wish: Wish = field(default_factory=Wish)
    offered: Offer = field(default_factory=Offer)
    next_check: float = 0.0
    said: str = ""
    pause: float = FIRST_PAUSE

    def start(self) -> None:
        """Read the memory; where it is damaged, say so and go by what the disk shows."""
        self.memory, problem = self.record.read()
        if problem:
            self.say(f"{problem}; the facts of the disk stand in.")
            self._keep(recover(self.memory, self.gather(), problem))

    def run(self) -> None:
        """Go on for ever."""
        self.start()
        while True:
            self.clock.sleep(self.round())

    def round(self) -> float:
        """Take one step; the seconds until the next."""
        try:
            facts = self.gather()
            self._settle(facts)
            self._look()
            step = self._asked(next_step(self.memory, facts, self.wish, self.offered))
            self._tell(facts, step)
            self.memory = self.hands.carry_out(Work(step, self.memory, facts, self.wish, self.offered.release))
        except (PeerError, MachineError, UserError) as problem:
            return self._stumble(problem)
        self.pause = FIRST_PAUSE
        waits = step.deed in (Deed.WAIT, Deed.REBOOT)
        return LOOK_SECONDS if waits else 0.0

    def _settle(self, facts: Facts) -> None:
        settled = settle(self.memory, facts)
        if settled != self.memory and settled.failures != self.memory.failures:
            settled = settle(self.memory, facts, self.last_lines(self.memory))
        self._keep(settled)

    def _look(self) -> None:
        """What is wanted; the repository is asked when that changed, or when it is time."""
        try:
            wish = first_wish(self.wishes)
        except ValueError as problem:
            raise UserError("What this node is to become cannot be read.", details=str(problem)) from problem
        if wish != self.wish or self.clock.monotonic() >= self.next_check:
            self.wish, self.offered = wish, self.offer(wish)
            self.next_check = self.clock.monotonic() + self.check_seconds()

    def _asked(self, step: Step) -> Step:
        """The step, or what stands against a reboot now."""
        if step.deed is Deed.REBOOT and self.memory.state in GIVING:
            against = ask_all(self.hands.leave)
            return Step(Deed.WAIT, f"{step.reason}: {against}") if against else step
        return step

    def _tell(self, facts: Facts, step: Step) -> None:
        doing = step.reason if step.deed is Deed.WAIT else f"{step.deed}: {step.reason}"
        if doing != self.said:
            self.say(f"{self.memory.state}. {doing[:1].upper()}{doing[1:].rstrip('.')}.")
            self.said = doing
        busy = step.deed is not Deed.WAIT or not self.memory.resting
        self.publish(self.memory, facts, self.wish, doing, busy=busy)

    def _stumble(self, problem: PeerError | MachineError | UserError) -> float:
        """A step that failed is taken again later; the first time it is told, and kept in the history."""
        line = briefly(problem)
        if line != self.said:
            self.say(f"{self.memory.state}. {line}")
            self.said = line
            version = self.memory.target.version if self.memory.target else ""
            self._keep(note(self.memory, at=self.clock.now(), version=version, reason=line))
        pause, self.pause = self.pause, min(2 * self.pause, LONGEST_PAUSE)
        return pause

    def _keep(self, memory: Memory) -> None:
        if memory != self.memory or not self.record.path.exists():
            self.memory = memory
            self.record.write(memory)
