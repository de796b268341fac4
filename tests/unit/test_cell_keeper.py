"""What the supervisor of a cell promises about the processes it keeps."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bedplate.local.cell.keeper import Keeper
from bedplate.local.cell.rules import Backoff, Record
from bedplate.testing.children import FakeChildren
from bedplate.testing.clock import FakeClock
from bedplate.wire import cell as wire
from bedplate.wire.cell import ProcessSpec


def spec(name: str, *, restart: bool = False) -> ProcessSpec:
    return ProcessSpec(name=name, argv=(name,), log="/log", restart=restart)


def play(story: Callable[[Keeper, FakeChildren], Awaitable[None]]) -> None:
    async def scene() -> None:
        children = FakeChildren()
        keeper = Keeper(children, FakeClock(), Backoff(first=0.0))
        children.on_end = keeper.reap
        await story(keeper, children)

    asyncio.run(scene())


async def names(keeper: Keeper) -> list[str]:
    listing = await keeper.answer(wire.List())
    assert isinstance(listing, wire.Listing)
    return [status.name for status in listing.processes]


async def turns() -> None:
    """Let everything that is ready take place."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_an_end_is_recorded_with_its_code() -> None:
    async def story(keeper: Keeper, children: FakeChildren) -> None:
        await keeper.answer(wire.Start(spec("job")))
        children.end(101, 3)
        await turns()
        listing = await keeper.answer(wire.List())
        assert isinstance(listing, wire.Listing)
        assert [(s.state, s.code, s.restarts) for s in listing.processes] == [("exited", 3, 0)]

    play(story)


def test_a_process_marked_restart_is_started_again() -> None:
    async def story(keeper: Keeper, children: FakeChildren) -> None:
        await keeper.answer(wire.Start(spec("api", restart=True)))
        children.end(101, -11)
        await turns()
        listing = await keeper.answer(wire.List())
        assert isinstance(listing, wire.Listing)
        assert [(s.state, s.code, s.restarts) for s in listing.processes] == [("running", -11, 1)]
        assert children.running == {102: ("api",)}

    play(story)


def test_a_program_that_vanished_is_tried_again_until_it_is_back() -> None:
    async def story(keeper: Keeper, children: FakeChildren) -> None:
        await keeper.answer(wire.Start(spec("api", restart=True)))
        children.missing.add("api")
        children.end(101, 1)
        await turns()
        assert children.running == {}
        children.missing.clear()
        await turns()
        assert len(children.running) == 1

    play(story)


def test_a_stopped_process_is_forgotten_and_not_restarted() -> None:
    async def story(keeper: Keeper, children: FakeChildren) -> None:
        await keeper.answer(wire.Start(spec("api", restart=True)))
        stopped = await keeper.answer(wire.Stop("api"))
        assert isinstance(stopped, wire.Listing)
        assert [(s.name, s.state, s.code) for s in stopped.processes] == [("api", "exited", -15)]
        await turns()
        assert (children.running, await names(keeper)) == ({}, [])

    play(story)


def test_what_ignores_sigterm_is_killed_after_its_grace() -> None:
    async def story(keeper: Keeper, children: FakeChildren) -> None:
        children.stubborn.add("vm")
        await keeper.answer(wire.Start(spec("vm")))
        await keeper.answer(wire.Stop("vm", grace=0.0))
        assert children.signals == [("vm", "TERM"), ("vm", "KILL")]

    play(story)


def test_stopping_what_is_not_there_stops_nothing() -> None:
    async def story(keeper: Keeper, children: FakeChildren) -> None:
        assert await keeper.answer(wire.Stop("ghost")) == wire.Listing(())
        assert children.signals == []

    play(story)


def test_a_name_is_taken_while_its_process_runs_and_free_afterwards() -> None:
    async def story(keeper: Keeper, children: FakeChildren) -> None:
        await keeper.answer(wire.Start(spec("job")))
        assert await keeper.answer(wire.Start(spec("job"))) == wire.Refused("A process named job is there already.")
        children.end(101, 0)
        await turns()
        assert isinstance(await keeper.answer(wire.Start(spec("job"))), wire.Listing)

    play(story)


def test_a_program_that_cannot_be_started_is_refused_in_words() -> None:
    async def story(keeper: Keeper, children: FakeChildren) -> None:
        children.missing.add("etcd")
        answer = await keeper.answer(wire.Start(spec("etcd")))
        assert answer == wire.Refused("etcd cannot be started.")
        assert await names(keeper) == []

    play(story)


def test_shutdown_stops_the_newest_first() -> None:
    async def story(keeper: Keeper, children: FakeChildren) -> None:
        for name in ("etcd", "api", "vm"):
            await keeper.answer(wire.Start(spec(name)))
        await keeper.answer(wire.Shutdown())
        assert [name for name, _ in children.signals] == ["vm", "api", "etcd"]
        assert keeper.closed.is_set()

    play(story)


@pytest.mark.parametrize(("ends", "seconds"), [(1, 0.25), (2, 0.5), (5, 4.0), (7, 15.0), (1000, 15.0)])
def test_each_quick_end_doubles_the_wait_up_to_a_limit(ends: int, seconds: float) -> None:
    assert Backoff().delay(ends) == seconds


@pytest.mark.parametrize(("ran", "quick_ends"), [(5.0, 4), (60.0, 1)])
def test_a_long_run_makes_up_for_earlier_ends(ran: float, quick_ends: int) -> None:
    record = Record(since=100.0, quick_ends=3)
    assert record.ended(1, now=100.0 + ran, backoff=Backoff()).quick_ends == quick_ends
