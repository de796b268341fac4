"""Opens a cell, or joins the one that is open, and talks to its supervisor.

A cell is open exactly while somebody holds its lock file. The lock is handed to the program that makes
the namespaces, which ends after everything in them: when the lock is free, nothing is left.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from bedplate.host import locks, sockets
from bedplate.host.clock import Clock, SystemClock
from bedplate.host.files import write_atomically
from bedplate.host.run import Completed, ProgramFailed, clean_environment, start_detached
from bedplate.model.errors import BedplateError, MachineError, OurError, UserError
from bedplate.wire import cell as wire
from bedplate.wire.cell import ProcessSpec, ProcessStatus

UNSHARE = (
    "unshare",
    "--user",
    "--map-root-user",
    "--net",
    "--pid",
    "--mount",
    "--mount-proc",
    "--fork",
    "--kill-child",
)
SUPERVISOR = "bedplate.local.cell.supervisor"
SOCKET, LOCK, LOG, RECORD = "cell.sock", "cell.lock", "cell.log", "cell.json"
WAY_OUT_LOCK = "way-out.lock"
"""Held by the one process outside the cell that belongs to it, where there is one (`way_out`)."""
OPENING_SECONDS = 20.0
LOG_LINES = 15

A = TypeVar("A", wire.Listing, wire.Ran)


class Cell(Protocol):
    """What others need of a cell. Every call raises `MachineError` when it cannot be done."""

    def start(self, spec: ProcessSpec) -> ProcessStatus:
        """Start a process; its name must not be that of a running one."""
        ...

    def stop(self, name: str, *, grace: float = 10.0) -> ProcessStatus | None:
        """End a process and forget it: SIGTERM, SIGKILL after `grace` seconds. `None`: it was not there."""
        ...

    def list(self) -> tuple[ProcessStatus, ...]:
        """Every process, running or ended, oldest first."""
        ...

    def run(self, argv: Sequence[str], *, ok: Collection[int] = (0,), seconds: float = 10.0) -> Completed:
        """Run a program in the cell to its end. Raises `ProgramFailed` for a code that is not in `ok`."""
        ...


class Record(msgspec.Struct, frozen=True):
    """What is written down of an open cell: `relays` are ports of this computer and where they lead."""

    relays: dict[int, str]


@dataclass(frozen=True, slots=True)
class OpenCell:
    """A cell whose supervisor answers. `reused` tells that it was open before."""

    folder: Path
    relays: Mapping[int, str]
    reused: bool = False
    clock: Clock = field(default_factory=SystemClock, repr=False, compare=False)

    def start(self, spec: ProcessSpec) -> ProcessStatus:
        return self._ask(wire.Start(spec), wire.Listing, seconds=10.0).processes[0]

    def stop(self, name: str, *, grace: float = 10.0) -> ProcessStatus | None:
        stopped = self._ask(wire.Stop(name, grace), wire.Listing, seconds=grace + 10.0).processes
        return stopped[0] if stopped else None

    def list(self) -> tuple[ProcessStatus, ...]:
        return self._ask(wire.List(), wire.Listing, seconds=10.0).processes

    def run(self, argv: Sequence[str], *, ok: Collection[int] = (0,), seconds: float = 10.0) -> Completed:
        began = self.clock.monotonic()
        ran = self._ask(wire.Run(tuple(argv), seconds), wire.Ran, seconds=seconds + 5.0)
        took = self.clock.monotonic() - began
        completed = Completed(tuple(argv), ran.code, ran.output.encode(), b"", took)
        if ran.code not in ok:
            raise ProgramFailed(completed)
        return completed

    def shutdown(self, *, grace: float = 10.0, seconds: float = 60.0) -> None:
        """Stop everything and wait until nothing of the cell is left.

        Raises `OurError` when something is left after `seconds`.
        """
        self._ask(wire.Shutdown(grace), wire.Listing, seconds=seconds)
        for lock in (self.folder / LOCK, self.folder / WAY_OUT_LOCK):
            if not locks.wait_until_free(lock, seconds=seconds, clock=self.clock):
                raise OurError("The cell did not end.", details=f"Somebody still holds {lock}.")
        for name in (SOCKET, RECORD):
            (self.folder / name).unlink(missing_ok=True)

    def _ask(self, request: wire.Request, kind: type[A], *, seconds: float) -> A:
        try:
            with closing(sockets.connect_unix(self.folder / SOCKET, seconds=seconds)) as connection:
                connection.sendall(wire.encode(request))
                line = connection.makefile("rb").readline()
        except OSError as problem:
            raise self._silent(str(problem)) from problem
        if not line:
            raise self._silent("The connection ended without an answer.")
        answer = wire.decode_answer(line)
        if isinstance(answer, wire.Refused):
            raise MachineError(answer.brief, details=answer.details)
        if not isinstance(answer, kind):
            raise OurError("The cell gave another kind of answer.", details=line.decode())
        return answer

    def _silent(self, why: str) -> MachineError:
        return MachineError(
            "The supervisor of the local cell does not answer.",
            details="\n".join([why, *_tail(self.folder / LOG)]),
            resolution="Try again; what is left of it was ended by the kernel.",
        )


def open_cell(folder: Path, *, relays: Mapping[int, str], clock: Clock | None = None) -> OpenCell:
    """Open the cell kept in `folder`, or join it where it is open already.

    `relays` maps ports of this computer's loopback address to addresses inside (`10.75.0.1:6443`); a
    cell that is open keeps the ones it has. Raises `MachineError` when a port is taken or namespaces
    cannot be made, `UserError` when another command is opening or closing it at this moment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clock = clock or SystemClock()
    lock = locks.take(folder / LOCK)
    if lock is None:
        return _join(folder, clock)
    with ExitStack() as handles:
        handles.callback(os.close, lock)
        api = handles.enter_context(sockets.listen_unix(folder / SOCKET))
        doors = {handles.enter_context(sockets.listen_tcp(port)): to for port, to in relays.items()}
        orders = wire.SupervisorOrders(api.fileno(), {door.fileno(): to for door, to in doors.items()})
        (folder / LOG).unlink(missing_ok=True)
        write_atomically(folder / RECORD, msgspec.json.encode(Record(dict(relays))))
        start_detached(
            [*UNSHARE, sys.executable, "-P", "-m", SUPERVISOR, msgspec.json.encode(orders).decode()],
            log=folder / LOG,
            env={"PATH": _wider_path(clean_environment().get("PATH", ""))},
            pass_fds=(lock, orders.api, *orders.relays),
        )
    cell = OpenCell(folder, dict(relays), clock=clock)
    _await_first_answer(cell)
    return cell


def find_cell(folder: Path, *, clock: Clock | None = None) -> OpenCell | None:
    """The open cell of `folder`, or `None` when there is none."""
    return _join(folder, clock or SystemClock()) if locks.is_held(folder / LOCK) else None


def _join(folder: Path, clock: Clock) -> OpenCell:
    try:
        record = msgspec.json.decode((folder / RECORD).read_bytes(), type=Record)
        cell = OpenCell(folder, record.relays, reused=True, clock=clock)
        cell.list()
    except (FileNotFoundError, MachineError) as problem:
        raise UserError(
            "Another command is opening or closing this cell.",
            details=problem.details if isinstance(problem, BedplateError) else str(problem),
            resolution="Wait until it has ended, then try again.",
        ) from problem
    return cell


def _await_first_answer(cell: OpenCell) -> None:
    """The socket listens before its server runs, so the first request waits for it instead of polling."""
    try:
        cell._ask(wire.List(), wire.Listing, seconds=OPENING_SECONDS)  # noqa: SLF001 (the same module)
    except MachineError as problem:
        raise MachineError(
            "The namespaces of the local cell could not be made.",
            details="\n".join(_tail(cell.folder / LOG)) or problem.details,
            resolution="Check that `unshare --user --map-root-user --net --pid --fork true` works; "
            "on Ubuntu, allow unprivileged user namespaces.",
        ) from problem


def _wider_path(path: str) -> str:
    """Where `ip` and `dnsmasq` lie is not on the path of every user."""
    return ":".join([*([path] if path else []), "/usr/sbin", "/sbin"])


def _tail(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []
