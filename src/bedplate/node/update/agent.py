"""The agent: gathers, settles what the boot shows, and takes one step after another until there is none to take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from msgspec.structs import replace

from bedplate.host.clock import Clock
from bedplate.model.errors import BedplateError, briefly
from bedplate.node.update.carry import GIVING, Hands, Work
from bedplate.node.update.facts import Facts, Offer
from bedplate.node.update.leave import ask_all
from bedplate.node.update.memory import Memory, note
from bedplate.node.update.plan import UNHEARD, Deed, Step, next_step
from bedplate.node.update.reboot import in_its_time
from bedplate.node.update.record import Record
from bedplate.node.update.rules import recover, settle
from bedplate.node.update.states import RESTING, State
from bedplate.node.update.trouble import told, unheard
from bedplate.node.update.wishes import WishSource, first_wish
from bedplate.wire.desired import Wish

LOOK_SECONDS = 15.0
"""Between two looks at what is wanted; the repository is asked much less often."""
FIRST_PAUSE, LONGEST_PAUSE = 15.0, 900.0
"""Seconds after a step that failed, or a repository that gave nothing; twice as many after each further one."""

WAITING = (*RESTING, State.FAILED)
"""States in which, where nothing is to be done, nothing comes by itself any more."""


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
    carried: Callable[[], str] = lambda: ""
    """What was carried to this machine; another text when that has changed."""
    memory: Memory = field(default_factory=Memory)
    wish: Wish = field(default_factory=Wish)
    offered: Offer = field(default_factory=Offer)
    next_check: float = 0.0
    last_carried: str = ""
    said: str = ""
    failed: set[str] = field(default_factory=set)
    """What went wrong, without details that may differ, since the last step that did not fail."""
    untold: str = ""
    """Why the last status could not be written."""
    pause: float = FIRST_PAUSE
    check_pause: float = FIRST_PAUSE
    lost: str = ""
    """Why the memory on disk could not be used, until another is in its place."""
    unheard: BedplateError | None = None
    """Why nobody knows what is wanted."""
    facts: Facts | None = None
    """The last ones that could be had."""
    rebooted: datetime | None = None
    """When a reboot was last asked for, and not refused."""

    def start(self) -> None:
        """Read the memory; where it is damaged, say so, and let the first round go by what the disk shows."""
        self.memory, self.lost = self.record.read()
        if self.lost:
            self.say(f"{self.lost}; the facts of the disk stand in.")

    def run(self) -> None:
        """Go on for ever."""
        self.start()
        while True:
            self.rest(self.round())

    def round(self) -> float:
        """Take one step; the seconds until the next. There is one, whatever goes wrong: nothing else updates a node."""
        try:
            facts = self.facts = self.gather()
            self._settle(facts)
            self._look()
            planned = next_step(self.memory, facts, self.wish, self.offered)
            self._require_heard(planned)
            step = self._asked(in_its_time(planned, self.memory, facts, self.rebooted))
            self._tell(facts, step, busy=planned.deed is not Deed.WAIT or self.memory.state not in WAITING)
            self.hands.carry_out(Work(step, self.memory, facts, self.wish, self.offered.release, self._keep))
        except Exception as problem:  # noqa: BLE001 — a loop that ends is started again, and ends again, heard by nobody
            return self._stumble(told(problem))
        if self.failed:
            self.failed.clear()
            self.said = ""
        self.pause = FIRST_PAUSE
        if step.deed is Deed.REBOOT:
            self.rebooted = self.clock.now()
        return LOOK_SECONDS if step.deed in (Deed.WAIT, Deed.REBOOT) else 0.0

    def rest(self, seconds: float) -> None:
        """Wait so long; where another bundle is brought meanwhile, no longer than until the next look."""
        left = seconds
        while left > 0:
            self.clock.sleep(min(left, LOOK_SECONDS))
            left -= LOOK_SECONDS
            if self._carried() != self.last_carried:
                return

    def _carried(self) -> str:
        """Where it cannot be seen, nothing was brought: whoever opens it is told why."""
        try:
            return self.carried()
        except Exception:  # noqa: BLE001 — as in a round
            return ""

    def _settle(self, facts: Facts) -> None:
        if self.lost and facts.unreadable:
            return
        if self.lost:
            self._keep(recover(self.memory, facts, self.lost, asked=self._heard()))
            self.lost = ""
        settled = settle(self.memory, facts)
        if settled != self.memory and settled.failures != self.memory.failures:
            settled = settle(self.memory, facts, self._words())
        self._keep(settled)

    def _words(self) -> tuple[str, ...]:
        """What the boot before wrote last; where that cannot be read, why: it decides nothing."""
        try:
            return self.last_lines(self.memory)
        except Exception as problem:  # noqa: BLE001 — as in a round
            return (briefly(told(problem)),)

    def _heard(self) -> str:
        """The request that is there already; the look that follows tells of one that cannot be read."""
        try:
            return first_wish(self.wishes).asked
        except (ValueError, OSError):
            return ""

    def _look(self) -> None:
        """What is wanted; the repository is asked when that changed, when it is time, or when a bundle is brought."""
        try:
            wish, carried = first_wish(self.wishes), self._carried()
        except Exception as problem:  # noqa: BLE001 — told by the round, once it has done what needs no wish
            self.unheard, self.offered = unheard(problem), Offer(unheard=True)
            return
        news = wish != self.wish or carried != self.last_carried or self.unheard is not None
        self.unheard = None
        if news or self.clock.monotonic() >= self.next_check:
            self.wish, self.offered = wish, self._offer(wish)
            self.last_carried = carried
            self.next_check = self.clock.monotonic() + self._until_check(first=news)

    def _require_heard(self, planned: Step) -> None:
        """Raises why it is not known what is wanted, where all else is done."""
        if self.unheard is not None and planned.reason == UNHEARD:
            raise self.unheard

    def _offer(self, wish: Wish) -> Offer:
        """Whatever is wrong with a repository keeps no wish from being heard: some need none."""
        try:
            return self.offer(wish)
        except Exception as problem:  # noqa: BLE001 — as in a round
            return Offer(problem=briefly(told(problem)), unanswered=True)

    def _until_check(self, *, first: bool) -> float:
        """Seconds until the repository is asked again: sooner, and then less and less often, while it gives nothing."""
        regular = self.check_seconds()
        if first or not self.offered.unanswered:
            self.check_pause = FIRST_PAUSE
        if not self.offered.unanswered:
            return regular
        pause, self.check_pause = self.check_pause, min(2 * self.check_pause, LONGEST_PAUSE)
        return min(pause, regular)

    def _asked(self, step: Step) -> Step:
        """The step, or what stands against a reboot now.

        That leave may be held is written down before it is asked for, so that it is given back however this ends.
        """
        if step.deed is not Deed.REBOOT or self.memory.state not in GIVING or not self.hands.leave:
            return step
        self._keep(replace(self.memory, leave_held=True))
        against = ask_all(self.hands.leave)
        return Step(Deed.WAIT, f"{step.reason}: {against}") if against else step

    def _tell(self, facts: Facts, step: Step, *, busy: bool) -> None:
        doing = step.reason if step.deed is Deed.WAIT else f"{step.deed}: {step.reason}"
        if doing != self.said:
            self.say(f"{self.memory.state}. {doing[:1].upper()}{doing[1:].rstrip('.')}.")
            self.said = doing
        self._publish(facts, doing, busy=busy)

    def _stumble(self, problem: BedplateError) -> float:
        """A step that failed is taken again later; the first time it is told, and kept in the history.

        Details may have figures that are others each time, such as how much of a download came.
        """
        line = briefly(problem)
        if problem.brief not in self.failed:
            self.say(f"{self.memory.state}. {line}")
            self.failed.add(problem.brief)
            version = self.memory.target.version if self.memory.target else ""
            with suppress(Exception):  # where it is the disk of this very record, it is told all the same
                self._keep_note(note(self.memory, at=self.clock.now(), version=version, reason=line))
        if self.facts is not None:
            self._publish(self.facts, line, busy=not self.memory.resting)
        pause, self.pause = self.pause, min(2 * self.pause, LONGEST_PAUSE)
        return pause

    def _publish(self, facts: Facts, doing: str, *, busy: bool) -> None:
        """To tell is not the work: where it fails, the work goes on, and fails by itself if it has to."""
        try:
            self.publish(self.memory, facts, self.wish, doing, busy=busy)
        except Exception as problem:  # noqa: BLE001 — as in a round
            untold = str(told(problem))
            if untold != self.untold:
                self.say(f"The status cannot be written. {untold}")
            self.untold = untold
        else:
            self.untold = ""

    def _keep_note(self, memory: Memory) -> None:
        """A damaged memory stays until the facts can stand in: an empty one in its place would look whole."""
        if not self.lost:
            self._keep(memory)

    def _keep(self, memory: Memory) -> None:
        """Written first: what is not on the disk has not happened."""
        if memory != self.memory or not (self.lost or self.record.path.exists()):
            self.record.write(memory)
            self.memory = memory
