"""Builds components from source, or finds them in the cache, and says where their programs are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bedplate.host.clock import Clock, SystemClock
from bedplate.host.download import Downloader, HttpDownloader
from bedplate.host.files import discard, folder_in_one_step, remove_leftovers
from bedplate.host.jobs import Jobs, SystemJobs
from bedplate.host.locks import in_turn
from bedplate.host.machine import Machine, SystemMachine
from bedplate.host.places import Places
from bedplate.host.report import Report
from bedplate.host.run import Runner
from bedplate.image.components.cache import entry_path, examine, write_receipt
from bedplate.image.components.catalogue import Component, Role, choose, read_catalogue
from bedplate.image.components.go import Compiler, Go, c_side
from bedplate.image.components.keys import content_key
from bedplate.image.components.plan import Build, BuildPlan, make_plan
from bedplate.image.components.toolchain import Toolchain, have_toolchain, read_toolchain
from bedplate.model.errors import UserError


@dataclass(frozen=True, slots=True)
class World:
    """The doors that building goes through; `go_proxy` is the setting GOPROXY, "" when unset."""

    jobs: Jobs
    downloader: Downloader
    clock: Clock
    machine: Machine
    go_proxy: str

    @classmethod
    def real(cls) -> World:
        return cls(SystemJobs(), HttpDownloader(), SystemClock(), SystemMachine(), os.environ.get("GOPROXY", ""))


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted: components, each with its key in the cache, and the toolchain that builds them."""

    components: tuple[Component, ...]
    keys: Mapping[str, str]
    toolchain: Toolchain
    places: Places

    def path(self, component: Component) -> Path:
        return entry_path(self.places.cache, component, self.keys[component.name])


def build_components(
    names: Collection[str] | None = None,
    *,
    root: Path,
    places: Places,
    runner: Runner,
    report: Report,
    role: Role | None = None,
    thorough: bool = False,
    world: World | None = None,
) -> Mapping[str, Path]:
    """The programs of the named components (all for `None`) with that role (any for `None`), by tool name.

    `root` is the checkout. What the cache lacks is built; a program that differs from its receipt is built
    again, and `thorough` reads every one to find out. Raises `UserError` for an unknown name, `PeerError`
    when modules or the toolchain cannot be had, `MachineError` when this machine lacks something.
    Runs an event loop of its own, so call it from outside of one.
    """
    world = world or World.real()
    order = make_order(names, root=root, places=places, runner=runner, role=role)
    plan = plan_order(order, world.machine, thorough=thorough)
    if plan.builds:
        lock = places.cache / "components.lock"
        with in_turn(lock, doing="building components", waiting=report.step):
            # Whoever held the lock before us may have built what we lack.
            plan = plan_order(order, world.machine, thorough=thorough)
            _carry_out(plan, order, world, report)
    _tell_skipped(plan, report)
    return programs_of(order, role)


def make_order(
    names: Collection[str] | None, *, root: Path, places: Places, runner: Runner, role: Role | None = None
) -> Order:
    """Read the checkout and find each component's key."""
    folder = root / "components"
    toolchain = read_toolchain(folder)
    components = choose(read_catalogue(folder), names, role)
    _check_unambiguous(components)
    keys = {c.name: content_key(c, toolchain=toolchain.sha256, c_side=c_side(c, runner)) for c in components}
    return Order(components, keys, toolchain, places)


def plan_order(order: Order, machine: Machine, *, thorough: bool = False) -> BuildPlan:
    """Compare the order with the cache."""
    cache = order.places.cache
    return make_plan(
        order.components,
        {c.name: examine(cache, c, order.keys[c.name], thorough=thorough) for c in order.components},
        toolchain=order.toolchain.version,
        toolchain_there=order.toolchain.is_there(cache),
        memory=machine.available_memory(),
        cores=machine.cores(),
    )


def have_go(toolchain: Toolchain, *, places: Places, world: World, report: Report) -> Go:
    """The go command, with the toolchain fetched if it is not there yet."""
    root = have_toolchain(toolchain, places.cache, go_proxy=world.go_proxy, downloader=world.downloader, report=report)
    return Go(root, places.cache)


def _carry_out(plan: BuildPlan, order: Order, world: World, report: Report) -> None:
    if not plan.builds:
        return
    compiler = Compiler(
        go=have_go(order.toolchain, places=order.places, world=world, report=report),
        jobs=world.jobs,
        processes=plan.processes,
        logs=order.places.cache / "logs/components",
    )
    asyncio.run(_build_all(plan, order, compiler, world.clock, report))


async def _build_all(plan: BuildPlan, order: Order, compiler: Compiler, clock: Clock, report: Report) -> None:
    """Build side by side; the first failure stops the rest."""
    places = asyncio.Semaphore(plan.jobs)

    async def build(each: Build) -> None:
        async with places:
            await _build(each, order, compiler, clock, report)

    try:
        async with asyncio.TaskGroup() as group:
            for each in plan.builds:
                group.create_task(build(each))
    except BaseExceptionGroup as several:
        first = several.exceptions[0]
        raise first from first.__cause__


async def _build(build: Build, order: Order, compiler: Compiler, clock: Clock, report: Report) -> None:
    component, started = build.component, clock.monotonic()
    path = order.path(component)
    remove_leftovers(path)
    with report.step(f"Build {component.name} {component.version}") as step, folder_in_one_step(path) as scratch:
        step.note(build.reason)
        packages = await compiler.compile(component, scratch, step)
        write_receipt(
            scratch,
            component,
            key=order.keys[component.name],
            toolchain=order.toolchain.version,
            seconds=clock.monotonic() - started,
        )
        discard(path)
        step.note(f"{build.reason}; {packages} packages compiled")


def _tell_skipped(plan: BuildPlan, report: Report) -> None:
    """Everything unchanged is one line; beside builds, each step that was left out has its own."""
    if not plan.builds:
        report.skipped("Components", "unchanged")
        return
    for action in plan.actions:
        if not action.runs:
            report.skipped(action.name, action.reason)


def programs_of(order: Order, role: Role | None) -> dict[str, Path]:
    return {
        tool.name: order.path(component) / "bin" / tool.name
        for component in order.components
        for tool in component.tools
        if role is None or tool.role is role
    }


def _check_unambiguous(components: Sequence[Component]) -> None:
    makers: dict[str, str] = {}
    for component in components:
        for tool in component.tools:
            other = makers.setdefault(tool.name, component.name)
            if other != component.name:
                raise UserError(
                    f"{other} and {component.name} both make {tool.name}.",
                    resolution="Name the components that you want; one of the two at most.",
                )
