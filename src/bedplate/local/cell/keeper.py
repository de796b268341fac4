"""Keeps the processes of a cell: starts, restarts, stops and reaps them, and answers requests."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from bedplate.host.children import Children
from bedplate.host.clock import Clock
from bedplate.local.cell.rules import Backoff, Record
from bedplate.model.errors import MachineError
from bedplate.wire import cell as wire
from bedplate.wire.cell import ProcessSpec, ProcessStatus

TIMED_OUT = 124
NOT_STARTED = 127


class Kept:
    """One process: what was asked for, its present life, how it went, and the task that follows it."""

    def __init__(self, spec: ProcessSpec, number: int, end: asyncio.Future[int], record: Record) -> None:
        self.spec = spec
        self.number = number
        self.end = end
        self.record = record
        self.watch: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """It runs, or it will run again."""
        return not self.end.done() or (self.watch is not None and not self.watch.done())


class Keeper:
    """Carries out requests on the `children` of this process.

    Whoever wires it calls `reap` at each SIGCHLD, and ends when `closed` is set.
    """

    def __init__(self, children: Children, clock: Clock, backoff: Backoff | None = None) -> None:
        self._children = children
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._kept: dict[str, Kept] = {}
        self._ends: dict[int, asyncio.Future[int]] = {}
        self.closed = asyncio.Event()

    def reap(self) -> None:
        """Take in the processes that have ended. Adopted orphans are reaped and forgotten."""
        for number, code in self._children.reap():
            end = self._ends.pop(number, None)
            if end is not None and not end.done():
                end.set_result(code)

    async def answer(self, request: wire.Request) -> wire.Answer:
        """Carry out one request. What goes wrong comes back as `Refused`."""
        try:
            return await self._answer(request)
        except MachineError as problem:
            return wire.Refused(problem.brief, problem.details)

    async def _answer(self, request: wire.Request) -> wire.Answer:
        match request:
            case wire.Start():
                return self._start(request.spec)
            case wire.Stop():
                return wire.Listing(await self._stop(request.name, request.grace))
            case wire.Run():
                return await self._run(request)
            case wire.List():
                return wire.Listing(tuple(self._status(kept) for kept in self._kept.values()))
            case wire.Shutdown():
                await self.close(request.grace)
                return wire.Listing(())

    async def close(self, grace: float) -> None:
        """Stop everything, newest first, since the newer lean on the older."""
        for name in reversed(list(self._kept)):
            await self._stop(name, grace)
        self.closed.set()

    def _start(self, spec: ProcessSpec) -> wire.Answer:
        known = self._kept.get(spec.name)
        if known is not None and known.alive:
            return wire.Refused(f"A process named {spec.name} is there already.")
        number, end = self._spawn(spec)
        kept = Kept(spec, number, end, Record(since=self._clock.monotonic()))
        self._kept.pop(spec.name, None)
        self._kept[spec.name] = kept
        kept.watch = asyncio.create_task(self._watch(kept), name=spec.name)
        return wire.Listing((self._status(kept),))

    def _spawn(self, spec: ProcessSpec) -> tuple[int, asyncio.Future[int]]:
        number = self._children.start(spec.argv, cwd=Path(spec.cwd), env=spec.env, log=Path(spec.log))
        end = self._ends[number] = asyncio.get_running_loop().create_future()
        return number, end

    async def _watch(self, kept: Kept) -> None:
        """Follow one process through its restarts."""
        while True:
            self._note_end(kept, await asyncio.shield(kept.end))
            if not kept.spec.restart:
                return
            await self._start_again(kept)

    async def _start_again(self, kept: Kept) -> None:
        while True:
            await asyncio.sleep(self._backoff.delay(kept.record.quick_ends))
            try:
                kept.number, kept.end = self._spawn(kept.spec)
            except MachineError:
                self._note_end(kept, NOT_STARTED)
            else:
                kept.record = kept.record.restarted(now=self._clock.monotonic())
                return

    def _note_end(self, kept: Kept, code: int) -> None:
        kept.record = kept.record.ended(code, now=self._clock.monotonic(), backoff=self._backoff)

    async def _stop(self, name: str, grace: float) -> tuple[ProcessStatus, ...]:
        kept = self._kept.get(name)
        if kept is None:
            return ()
        if kept.watch is not None:
            kept.watch.cancel()
        if not kept.end.done():
            self._note_end(kept, await self._end(kept.number, kept.end, grace))
        if self._kept.get(name) is kept:
            del self._kept[name]
        return (self._status(kept),)

    async def _end(self, number: int, end: asyncio.Future[int], grace: float) -> int:
        self._children.ask_to_end(number)
        try:
            return await asyncio.wait_for(asyncio.shield(end), grace)
        except TimeoutError:
            self._children.kill(number)
            return await end

    async def _run(self, request: wire.Run) -> wire.Answer:
        with tempfile.NamedTemporaryFile() as output:
            spec = ProcessSpec(name="", argv=request.argv, log=output.name)
            number, end = self._spawn(spec)
            try:
                code = await asyncio.wait_for(asyncio.shield(end), request.seconds)
            except TimeoutError:
                self._children.kill(number)
                await end
                code = TIMED_OUT
            return wire.Ran(code, output.read().decode(errors="replace"))

    def _status(self, kept: Kept) -> ProcessStatus:
        return kept.record.status(kept.spec.name, now=self._clock.monotonic())
