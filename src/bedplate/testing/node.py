"""A node without a machine: slots, an ESP and a boot loader in memory, with the real agent on it.

Versions behave as a test says: they work, are judged unhealthy, hang before they are judged, or do not come up. The
power can be cut at every call of the slots' door, before it did anything or after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from pathlib import Path

import msgspec
import zstandard

from bedplate.host.files import no_space
from bedplate.host.http import broken
from bedplate.host.run import Completed
from bedplate.model.digests import sha256
from bedplate.model.errors import MachineError, OurError, PeerError, UserError
from bedplate.model.reading import InMemory, ReadAt
from bedplate.node.health.verdict import Verdict
from bedplate.node.repack.ask import Repacker
from bedplate.node.slots.loader import Entry, after_start, entry_of, file_name, in_order
from bedplate.node.slots.rules import fallback_of
from bedplate.node.slots.slots import TRIES
from bedplate.node.update.agent import Agent
from bedplate.node.update.carry import Hands
from bedplate.node.update.gauge import Gauge
from bedplate.node.update.leave import LeaveToReboot
from bedplate.node.update.main import listed
from bedplate.node.update.memory import Memory
from bedplate.node.update.offers import offer_for
from bedplate.node.update.plan import Facts
from bedplate.node.update.record import Record
from bedplate.node.update.status import status_of
from bedplate.node.update.taking import Taker
from bedplate.release.trust.refusals import ReleaseWithdrawn
from bedplate.testing.clock import FakeClock
from bedplate.testing.releases import release_of
from bedplate.testing.runner import FakeRunner, completed
from bedplate.wire.desired import Status, Wish
from bedplate.wire.release import Channel, Part, Payload, Release

FIRST = "Bedplate-1.37-amd64-202611.20.0"


class Behaviour(Enum):
    """How a version does on this node."""

    WORKS = "works"
    SICK = "is judged unhealthy"
    HANGS = "hangs before it is judged"
    PANICS = "does not come up"


class PowerCut(BaseException):
    """The agent is gone, wherever it was. No `except` of ours may catch it."""


@dataclass
class FakeReleases:
    """Implements `bedplate.node.update.offers.Releases`. `away` is that no mirror answers.

    `breaks_after` is how many bytes of an answer come before the connection breaks. It does too where `files` has less
    than was signed.
    """

    releases: dict[str, Release] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    channels: dict[str, str] = field(default_factory=dict)
    withdrawn: dict[str, str] = field(default_factory=dict)
    away: bool = False
    breaks_after: int | None = None
    fetched: int = 0
    """Bytes of payloads that were sent."""

    def refresh(self) -> None:
        if self.away:
            raise PeerError("No mirror can be used.")

    def channel(self, name: str) -> Channel:
        self.refresh()
        if name not in self.channels:
            raise PeerError(f"The repository has no channel {name}.")
        return Channel(name=name, version=self.channels[name], since=FakeClock().now())

    def release(self, version: str) -> Release:
        self.refresh()
        if version in self.withdrawn:
            raise ReleaseWithdrawn(version, self.withdrawn[version])
        return self.releases[version]

    def fetch(self, payload: Payload, *, start: int = 0) -> Iterator[bytes]:
        self.refresh()
        data = self.files[payload.path][start:]
        sent = data[: self.breaks_after]
        self.fetched += len(sent)
        yield sent
        if start + len(sent) < payload.size:
            raise broken(payload.path, "connection reset")


@dataclass
class Content:
    """What a slot holds."""

    version: str = ""
    root_hash: str = ""
    chunks: int = 0
    sealed: bool = False
    identified: bool = False

    @property
    def whole(self) -> bool:
        return self.sealed and self.identified


@dataclass
class FakeSlots:
    """Stands in for `bedplate.node.slots.slots.Slots`, with a loader that chooses and counts as systemd-boot does.

    `cut_in` counts down with every call that changes the disk; at 0 the power goes, half of the times after it.
    `failing` is that the other slot can be neither read nor written, `damaged` that the ESP cannot.
    """

    running: int = 0
    contents: list[Content] = field(default_factory=lambda: [Content(), Content()])
    esp: list[Entry] = field(default_factory=list)
    cut_in: int = -1
    calls: int = 0
    failing: bool = False
    damaged: bool = False

    @property
    def root_hash(self) -> str:
        return self.contents[self.running].root_hash

    @property
    def other(self) -> Content:
        return self.contents[1 - self.running]

    def entries(self) -> tuple[Entry, ...]:
        if self.damaged:
            raise MachineError("The ESP is damaged, so it is not touched.")
        return in_order(self.esp)

    def clear(self) -> None:
        self.entries()
        fallback_of(self.esp, self.root_hash)
        with self._power():
            self.esp = [each for each in self.esp if each.root_hash == self.root_hash]

    def resume_point(self, part: Part) -> int:
        return 0 if self.failing else min(self.other.chunks, len(part.chunks))

    def write_usr(self, part: Part, chunks: Iterable[bytes], *, first: int = 0) -> None:
        if any(each.root_hash != self.root_hash for each in self.esp):
            raise OurError(f"The loader could choose what {len(part.chunks)} chunks go over.")
        self._require_slot()
        self.contents[1 - self.running] = Content(chunks=first)
        for _ in chunks:
            with self._power():
                self.other.chunks += 1

    @contextmanager
    def base(self, size: int) -> Iterator[ReadAt]:
        raise NotImplementedError(size)
        yield

    def seal(self, release: Release) -> None:
        self._require_slot()
        with self._power():
            self.other.version, self.other.sealed = release.version, True

    def identify(self, release: Release) -> None:
        with self._power():
            self.other.root_hash, self.other.identified = release.verity.root_hash, True

    def install(self, release: Release, chunks: Iterable[bytes]) -> None:
        self.entries()
        if any(each.root_hash != self.root_hash for each in self.esp):
            raise OurError("The loader may still choose another.")
        for _ in chunks:
            with self._power():
                pass
        with self._power():
            self.esp.append(_entry(release.version, release.verity.root_hash, TRIES))
        self._prefer(release.verity.root_hash)

    @contextmanager
    def base_uki(self) -> Iterator[ReadAt]:
        yield InMemory(b"nobody signed this")

    def bless(self) -> None:
        self.entries()
        with self._power():
            self._change(self.root_hash, left=None)

    def choose_other(self) -> None:
        listed = any(each.root_hash == self.other.root_hash for each in self.entries())
        if not self.other.whole or not listed or self.failing:
            raise UserError("There is no other version to go back to.")
        if any(each.root_hash == self.other.root_hash and each.left == 0 for each in self.esp):
            with self._power():
                self._change(self.other.root_hash, left=TRIES)
        self._prefer(self.other.root_hash)

    def _prefer(self, root_hash: str) -> None:
        chosen = self.entries()[0].root_hash
        if chosen != root_hash:
            with self._power():
                self._change(chosen, left=0)

    def boot(self, picked: str = "") -> str:
        """Let the loader choose and count, or somebody at its menu; the version that it starts."""
        listed = in_order(self.esp)
        chosen = next((each for each in listed if each.version == picked), listed[0])
        self.esp = [*after_start([chosen]), *(each for each in listed if each != chosen)]
        self.running = next(n for n, each in enumerate(self.contents) if each.root_hash == chosen.root_hash)
        if not self.contents[self.running].whole:
            raise AssertionError(f"The loader chose {chosen.version}, which is not whole.")
        return chosen.version

    def rot(self) -> None:
        """Lose what the other slot holds; the loader does not know."""
        self.contents[1 - self.running] = replace(self.other, chunks=0, sealed=False)

    def _require_slot(self) -> None:
        if self.failing:
            raise MachineError("The disk cannot be read.", details="[Errno 5] Input/output error")

    def _change(self, root_hash: str, *, left: int | None) -> None:
        self.esp = [_entry(each.version, root_hash, left) if each.root_hash == root_hash else each for each in self.esp]

    @contextmanager
    def _power(self) -> Iterator[None]:
        self.calls += 1
        self.cut_in -= 1
        if self.cut_in == 0 and self.calls % 2:
            raise PowerCut
        yield
        if self.cut_in == 0:
            raise PowerCut


@dataclass(frozen=True, slots=True)
class FakeRecord(Record):
    """A record whose disk may be full."""

    full: Callable[[], bool]

    def write(self, memory: Memory) -> None:
        if self.full():
            raise no_space(self.path, "[Errno 28] No space left on device")
        Record.write(self, memory)


def packed_payload(payload: Payload, data: bytes) -> tuple[Payload, bytes]:
    """The full payload of a part of one chunk, as a node takes it."""
    frame = zstandard.ZstdCompressor().compress(data)
    return msgspec.structs.replace(payload, size=len(frame), sha256=sha256(frame), frames=(len(frame),)), frame


def _entry(version: str, root_hash: str, left: int | None) -> Entry:
    return entry_of(file_name(version, left=left), version=version, root_hash=root_hash)


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

    def install_first(self, version: str = FIRST) -> None:
        """As an image lies on a new disk: one slot, one UKI with its tries."""
        release = self.publish(version)
        name, root_hash = release.version, release.verity.root_hash
        self.slots.contents[0] = Content(name, root_hash, 1, sealed=True, identified=True)
        self.slots.esp = [_entry(name, root_hash, TRIES)]

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
            match self.behaviour[version]:
                case Behaviour.PANICS | Behaviour.HANGS if self._on_trial():
                    continue
                case Behaviour.SICK:
                    self._judge(passed=False)
                    if self._on_trial() and self._others() and self._goes_back():
                        continue
                case _:
                    self._judge(passed=True)
            self.agent = self._make_agent()
            self.agent.start()
            return
        raise AssertionError("No version stays up.")

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
        self.failed = self.failed if passed else self.verdict

    def _goes_back(self) -> bool:
        """As the gate does: it stays where nothing else is whole, and starts again where the ESP cannot be changed."""
        with suppress(MachineError):
            try:
                self.slots.choose_other()
            except UserError:
                return False
        return True

    def _boot_id(self) -> str:
        return f"boot {len(self.boots)}"

    def _on_trial(self) -> bool:
        return any(each.root_hash == self.slots.root_hash and not each.is_proven for each in self.slots.esp)

    def _others(self) -> list[Entry]:
        return [each for each in self.slots.esp if each.root_hash != self.slots.root_hash]

    def _make_agent(self) -> Agent:
        slots, running = self.slots, self.version
        record = FakeRecord(self.folder, lambda: self.full)
        runner = FakeRunner(self._act)
        free = lambda: 1 << 30  # noqa: E731 — of memory, and of the disk
        repacker = Repacker(self.folder / "repack", self.folder / "begun", runner, self.clock, free)
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
