"""Wires the agent to the machine that it runs on."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from bedplate.host.clock import Clock
from bedplate.host.disks import Disks
from bedplate.host.http import Http, Route, SystemHttp
from bedplate.host.locks import alone
from bedplate.host.machine import Machine
from bedplate.host.media import Media
from bedplate.host.pace import RateLimit
from bedplate.host.peers import Peers
from bedplate.host.post import SystemPost
from bedplate.host.run import Runner
from bedplate.model.errors import MachineError, briefly
from bedplate.node.apiserver import OwnNode
from bedplate.node.boot import boot_id, built, machine_identity, running_version
from bedplate.node.health.verdict import FAILED, Verdicts
from bedplate.node.health.verdict import RECORD as VERDICT
from bedplate.node.repack.ask import Repacker
from bedplate.node.repack.job import FOLDER as REPACK
from bedplate.node.settings import Leave, Settings, Source
from bedplate.node.slots.loader import Entry
from bedplate.node.slots.rules import root_hash_of
from bedplate.node.slots.slots import Slots
from bedplate.node.update.agent import Agent
from bedplate.node.update.carry import Hands
from bedplate.node.update.facts import Facts
from bedplate.node.update.gauge import Gauge
from bedplate.node.update.last_words import last_words
from bedplate.node.update.leave import leave_of
from bedplate.node.update.memory import Memory
from bedplate.node.update.offers import offer_for
from bedplate.node.update.record import FOLDER, Record
from bedplate.node.update.sources import Bundle, Sources
from bedplate.node.update.status import Publisher, status_of
from bedplate.node.update.taking import Taker
from bedplate.node.update.wishes import CREDENTIAL as WISH
from bedplate.node.update.wishes import FILE, FileWish, NodeWish
from bedplate.release.trust.bundle import open_bundle
from bedplate.release.trust.repository import Repository
from bedplate.wire.desired import Wish

METADATA = "var/lib/bedplate/tuf"
LOCK = "run/bedplate/agent/lock"
"""Not on a disk: that may be full, or write-protected, and has to be told of."""
BEGUN = "repack.begun"


@dataclass(frozen=True, slots=True)
class World:
    """Every door of the node; `root` is where its files begin, `name` its host name."""

    name: str
    disks: Disks
    peers: Peers
    runner: Runner
    machine: Machine
    clock: Clock
    say: Callable[[str], None]
    media: Media
    root: Path = Path("/")


def run_agent(world: World, settings: Settings, *, trust: bytes, credentials: Path | None) -> None:
    """Go on for ever; `trust` is the root metadata of releases. Raises `UserError` while another agent runs."""
    with alone(world.root / LOCK, doing="updating this node"):
        clear_away(repacker_of(world), world.say)
        make_agent(world, settings, trust=trust, credentials=credentials).run()


def clear_away(repacker: Repacker, say: Callable[[str], None]) -> None:
    """End and remove what an agent before this one left. The next part that is made apart has to do that, too."""
    try:
        repacker.clear()
    except (MachineError, OSError) as problem:
        why = briefly(problem) if isinstance(problem, MachineError) else str(problem)
        say(f"What was begun to be made apart is still there. {why}")


def make_agent(world: World, settings: Settings, *, trust: bytes, credentials: Path | None) -> Agent:
    """The agent of this machine, not started."""
    folder = world.root / FOLDER
    version = running_version(world.root)
    slots = Slots(world.disks, root_hash=root_hash_of((world.root / "proc/cmdline").read_text()))
    releases = _sources(world, settings, trust, built=built(version))
    node = OwnNode(world.name, world.peers, world.root)
    record = Record(folder)
    identity = machine_identity(world.root)
    publisher = Publisher(node, folder, world.say)
    gauge = Gauge(world.clock, publisher.progress)
    free, repacker = world.machine.available_memory, repacker_of(world)
    space = partial(world.machine.free_space, folder)
    hands = Hands(
        slots=slots,
        taker=Taker(slots, releases, version, folder, repacker, free, world.say, gauge, space),
        leave=leave_of(settings.leave, identity=identity, post=SystemPost(route_of(settings.leave)), clock=world.clock),
        runner=world.runner,
        folder=folder,
        say=world.say,
    )

    def publish(memory: Memory, facts: Facts, wish: Wish, doing: str, *, busy: bool) -> None:
        clock = _clock(world, releases)
        unknown = settings.unknown
        publisher.publish(status_of(memory, facts, wish, doing, busy=busy, clock=clock, unknown=unknown))

    verdicts = Verdicts(world.root, world.say)

    def gather() -> Facts:
        verdict, failed = verdicts.read(VERDICT), verdicts.read(FAILED)
        boot, now = boot_id(world.root), world.clock.now()
        entries, unreadable = listed(slots)
        return Facts(version, slots.root_hash, boot, now, entries, verdict, failed, unreadable)

    def words(memory: Memory) -> tuple[str, ...]:
        since = memory.since.timestamp() if memory.since else 0.0
        return last_words(world.root, world.runner, since=since)

    sources = [FileWish(world.root / FILE)]
    given = [FileWish(credentials / WISH)] if credentials else []
    source = settings.source
    return Agent(
        gather=gather,
        wishes=(NodeWish(node, folder), *sources, *given),
        offer=lambda wish: offer_for(wish, releases, channel=source.channel, running=version),
        hands=hands,
        record=record,
        publish=publish,
        last_lines=words,
        clock=world.clock,
        say=world.say,
        check_seconds=lambda: source.check_seconds + random.uniform(0, source.jitter_seconds),  # noqa: S311 — spreads load
        carried=releases.stamp if releases else lambda: "",
    )


def repacker_of(world: World) -> Repacker:
    """What makes UKIs apart on this machine."""
    folder, machine = world.root / REPACK, world.machine
    disk_free = partial(machine.free_space, folder)
    return Repacker(folder, world.root / FOLDER / BEGUN, world.runner, world.clock, machine.available_memory, disk_free)


def listed(slots: Slots) -> tuple[tuple[Entry, ...], str]:
    """What the loader lists, or why that cannot be told: the node has to be heard of with a damaged disk as well."""
    try:
        return slots.entries(), ""
    except MachineError as problem:
        return (), briefly(problem)


def _sources(world: World, settings: Settings, trust: bytes, *, built: datetime) -> Sources | None:
    source, now = settings.source, world.clock.now
    if not trust:
        return None
    folder = world.root / METADATA
    http = _http(world, settings)
    mirrors = Repository(trust, folder, source.mirrors, http, now, built=built) if source.mirrors else None
    bundles = [
        Bundle(place, open_bundle(place, partial(world.media.open, place), trust, folder, now, built=built))
        for place in source.bundles
    ]
    return Sources(mirrors, bundles, world.media)


def _http(world: World, settings: Settings) -> Http:
    source = settings.source
    route = route_of(source)
    if not source.rate:
        return SystemHttp(route, world.clock)
    return SystemHttp(route, world.clock, limit=RateLimit(source.rate, world.clock))


def route_of(way: Source | Leave) -> Route:
    """How servers of one kind are reached: by one proxy for all addresses, or by none."""
    proxies = {"http": way.proxy, "https": way.proxy} if way.proxy else {}
    return Route(proxies, authority=way.ca)


def _clock(world: World, releases: Sources | None) -> str:
    """What stands in for a clock that is not known to be right; empty while it is."""
    if releases is not None and releases.trusted is not None and releases.trusted.moment.stands_in:
        return releases.trusted.moment.stands_in
    synchronised = (world.root / "run/systemd/timesync/synchronized").exists()
    if synchronised or releases is None:
        return ""
    return "not synchronised; the latest time that was ever signed stands in where it is later"
