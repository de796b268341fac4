"""A node without a machine: slots, an ESP and a boot loader in memory, with the real agent on it.

Versions behave as a test says: they work, are judged unhealthy, hang before they are judged, or do not come up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from pathlib import Path

import msgspec

from bedplate.host.files import no_space
from bedplate.host.run import Completed
from bedplate.model.errors import MachineError, UserError
from bedplate.node.health.verdict import Verdict
from bedplate.node.repack.ask import Repacker
from bedplate.node.slots.loader import Entry
from bedplate.node.slots.rules import TRIES, is_on_trial
from bedplate.node.update.agent import Agent
from bedplate.node.update.carry import Hands
from bedplate.node.update.facts import Facts
from bedplate.node.update.gauge import Gauge
from bedplate.node.update.leave import LeaveToReboot
from bedplate.node.update.main import listed
from bedplate.node.update.memory import Memory
from bedplate.node.update.offers import offer_for
from bedplate.node.update.reboot import REBOOT_SECONDS
from bedplate.node.update.record import Record
from bedplate.node.update.status import status_of
from bedplate.node.update.taking import Taker
from bedplate.testing.clock import FakeClock
from bedplate.testing.releases import release_of
from bedplate.testing.runner import FakeRunner, completed
from bedplate.testing.served import FakeReleases, packed_payload
from bedplate.testing.two_slots import Content, FakeSlots, entry_under
from bedplate.wire.desired import Status, Wish
from bedplate.wire.release import Release

FIRST = "Bedplate-1.37-amd64-202611.20.0"


class Behaviour(Enum):
    """How a version does on this node."""

    WORKS = "works"
    SICK = "is judged unhealthy"
    HANGS = "hangs before it is judged"
    PANICS = "does not come up"


@dataclass(frozen=True, slots=True)
class FakeRecord(Record):
    """A record whose disk may be full."""

    full: Callable[[], bool]

    def write(self, memory: Memory) -> None:
        if self.full():
            raise no_space(self.path, "[Errno 28] No space left on device")
        Record.write(self, memory)


@dataclass
class FixedWish:
    """A source of wishes whose wish a test sets."""

    wish: Wish = field(default_factory=Wish)

    def look(self) -> Wish:
        return self.wish


@dataclass
class FakeNode:
    """The node. `folder` is the agent's own, which outlives boots as /var does."""

    folder: Path
    slots: FakeSlots = field(default_factory=FakeSlots)
    releases: FakeReleases = field(default_factory=FakeReleases)
    behaviour: dict[str, Behaviour] = field(default_factory=dict)
    leave: Sequence[LeaveToReboot] = ()
    source: FixedWish = field(default_factory=FixedWish)
    channel: str = "stable"
    clock: FakeClock = field(default_factory=FakeClock)
    boots: list[str] = field(default_factory=list)
    """Versions that were started, in order."""
    verdict: Verdict | None = None
    failed: Verdict | None = None
    status: Status | None = None
    said: list[str] = field(default_factory=list)
    agent: Agent | None = None
    rebooting: bool = False
    full: bool = False
    """Whether there is no space left in `folder`."""
    stuck: bool = False
    """Whether a reboot that is asked for does not come about."""
    alone: bool = False
    """Whether the cluster is away, so that nothing is judged healthy."""

    def install_first(self, version: str = FIRST) -> None:
        """As an image lies on a new disk: one slot, one UKI with its tries."""
        release = self.publish(version)
        name, root_hash = release.version, release.verity.root_hash
        self.slots.contents[0] = Content(name, root_hash, 1, sealed=True, identified=True)
        self.slots.esp = [entry_under(name, root_hash, TRIES)]

    def publish(self, version: str, behaviour: Behaviour = Behaviour.WORKS) -> Release:
        release, files = release_of(version, usr=b"usr of " + version.encode(), uki=b"uki of " + version.encode())
        packed = [packed_payload(each, files[each.path]) for each in release.payloads]
        release = msgspec.structs.replace(release, payloads=tuple(payload for payload, _ in packed))
        self.releases.releases[version] = release
        self.releases.files |= {payload.path: data for payload, data in packed}
        self.behaviour[version] = behaviour
        return release

    @property
    def version(self) -> str:
        return self.slots.contents[self.slots.running].version

    @property
    def memory(self) -> Memory:
        return Record(self.folder).read()[0]

    def boot(self, picked: str = "") -> None:
        """Power on: boots until a version stays up, and start the agent there. `picked` is the first to boot."""
        self.rebooting = False
        for number in range(20):
            version = self.slots.boot("" if number else picked)
            self.boots.append(version)
            self.clock.sleep(60)
            match self._behaviour(version):
                case Behaviour.PANICS | Behaviour.HANGS if self._on_trial():
                    continue
                case Behaviour.SICK:
                    self._judge(passed=False)
                    if self._is_a_try() and self._others() and self._goes_back() and not self.stuck:
                        continue
                case _:
                    self._look_ahead()
                    self._judge(passed=True)
            self.agent = self._make_agent()
            self.agent.start()
            return
        raise AssertionError("No version stays up.")

    def _behaviour(self, version: str) -> Behaviour:
        works = self.behaviour[version] is Behaviour.WORKS
        return Behaviour.SICK if works and self.alone else self.behaviour[version]

    def run(self, rounds: int = 60) -> None:
        """Rounds of the agent, with the reboots that it asks for, until it only waits."""
        for _ in range(rounds):
            if self.agent is None:
                self.boot()
            waits = self.round()
            if self.rebooting:
                self.agent = None
            elif waits:
                return
        raise AssertionError(f"The agent does not come to rest: {self.said[-5:]}")

    def round(self) -> bool:
        """One round; whether it waits."""
        if self.agent is None:
            raise AssertionError("The node is off.")
        seconds = self.agent.round()
        self.clock.sleep(seconds)
        return seconds > 0

    def cut_power(self) -> None:
        self.agent = None

    def _judge(self, *, passed: bool) -> None:
        findings = () if passed else ("kubelet: /healthz: refused",)
        self.verdict = Verdict(self.version, self._boot_id(), passed, self.clock.now(), 5.0, findings)
        if not passed:
            self.failed = self.verdict
            self.clock.sleep(REBOOT_SECONDS)  # what the gate asks for comes about by then, or not at all

    def _goes_back(self) -> bool:
        """As the gate does: it starts again where the other cannot be chosen, and stays where that is not whole.

        After the last try the loader would go there unasked, so then it stays in either case.
        """
        try:
            self.slots.choose_other(on_trial=False)
        except UserError:
            return False
        except MachineError:
            return any(each.left for each in self.slots.esp if each.root_hash == self.slots.root_hash)
        return True

    def _look_ahead(self) -> None:
        """As the gate does before it judges the last try."""
        with suppress(UserError, MachineError):
            if any(each.root_hash == self.slots.root_hash and each.left == 0 for each in self.slots.entries()):
                self.slots.require_other()

    def _boot_id(self) -> str:
        return f"boot {len(self.boots)}"

    def _on_trial(self) -> bool:
        return any(each.root_hash == self.slots.root_hash and not each.is_proven for each in self.slots.esp)

    def _is_a_try(self) -> bool:
        return any(each.root_hash == self.slots.root_hash and is_on_trial(each) for each in self.slots.esp)

    def _others(self) -> list[Entry]:
        return [each for each in self.slots.esp if each.root_hash != self.slots.root_hash]

    def _make_agent(self) -> Agent:
        slots, running = self.slots, self.version
        record = FakeRecord(self.folder, lambda: self.full)
        runner = FakeRunner(self._act)
        free = lambda: 1 << 30  # noqa: E731 — of memory, and of the disk
        repacker = Repacker(self.folder / "repack", self.folder / "begun", runner, self.clock, free, free)
        gauge = Gauge(self.clock, self.said.append)
        taker = Taker(slots, self.releases, running, self.folder, repacker, free, self.said.append, gauge, free)  # type: ignore[arg-type] # a stand-in
        hands = Hands(slots, taker, self.leave, runner, self.folder, self.said.append)  # type: ignore[arg-type] # likewise

        def publish(memory: Memory, facts: Facts, wish: Wish, doing: str, *, busy: bool) -> None:
            self.status = status_of(memory, facts, wish, doing, busy=busy, clock="")

        def gather() -> Facts:
            now, boot = self.clock.now(), self._boot_id()
            entries, unreadable = listed(slots)  # type: ignore[arg-type] # a stand-in
            return Facts(running, slots.root_hash, boot, now, entries, self.verdict, self.failed, unreadable)

        return Agent(
            gather=gather,
            wishes=(self.source,),
            offer=lambda wish: offer_for(wish, self.releases, channel=self.channel, running=running),
            hands=hands,
            record=record,
            publish=publish,
            last_lines=lambda _: ("last line",),
            clock=self.clock,
            say=self.said.append,
            check_seconds=lambda: 3600.0,
        )

    def _act(self, argv: tuple[str, ...]) -> Completed:
        self.rebooting = argv == ("systemctl", "reboot") and not self.stuck
        if argv == ("systemctl", "reboot") and self.stuck:
            raise MachineError("systemctl took more than 60 s.", details="$ systemctl reboot")
        return completed(argv)

    def a_week_later(self) -> None:
        self.clock.sleep(timedelta(days=7).total_seconds())
