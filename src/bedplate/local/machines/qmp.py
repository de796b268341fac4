"""The QEMU Machine Protocol, as much of it as machines need.

qemu.qmp from PyPI is asyncio throughout and wants a path that fits sun_path; commands here are few and
wait for their answers, and the machine's folder may lie deep. So these lines instead of the package.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from bedplate.host import sockets
from bedplate.host.clock import Clock, SystemClock
from bedplate.local.machines.qemu import STICK, USB
from bedplate.model.errors import MachineError

Arguments = Mapping[str, object]

JOB_POLL_SECONDS = 0.05
PULL_OUT_SECONDS = 10.0


class MachineMonitor(Protocol):
    """What the provider asks of a running machine."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def status(self) -> str:
        """QEMU's run state, such as `running`, `paused`, `shutdown`, `internal-error`."""
        ...

    def reset(self) -> None:
        """The reset button."""
        ...

    def save(self, tag: str, nodes: tuple[str, ...]) -> None:
        """Keep memory and disks under `tag`, in the disks themselves; the machine goes on."""
        ...

    def restore(self, tag: str, nodes: tuple[str, ...]) -> None:
        """Go back to what was kept under `tag`, and go on from there."""
        ...

    def plug_in(self, stick: Path) -> None:
        """Plug a USB stick in that has the bytes of the file `stick`."""
        ...

    def pull_out(self) -> None:
        """Pull it out, whatever is being read of it."""
        ...


class Monitor:
    """One conversation with a running machine; implements `MachineMonitor`. QEMU holds one at a time, so keep it short.

    Every call raises `MachineError` when the machine refuses, ends, or does not answer in time.
    """

    def __init__(self, path: Path, *, seconds: float = 10.0, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        try:
            self._socket = sockets.connect_unix(path, seconds=seconds)
        except OSError as problem:
            raise MachineError("The machine's monitor does not answer.", details=f"{path}: {problem}") from problem
        self._lines = self._socket.makefile("rb")
        self._read()  # the greeting
        self.execute("qmp_capabilities")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self._socket.close()

    def execute(self, command: str, arguments: Arguments | None = None) -> object:
        """Carry out one command and give what it returns."""
        message = {"execute": command, "arguments": arguments or {}}
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as problem:
            raise _lost(command, str(problem)) from problem
        while True:
            answer = self._read(command)
            if "error" in answer:
                raise MachineError(f"The machine refused {command}.", details=json.dumps(answer["error"]))
            if "return" in answer:
                return answer["return"]

    def status(self) -> str:
        answer = self.execute("query-status")
        return str(answer.get("status")) if isinstance(answer, dict) else ""

    def reset(self) -> None:
        self.execute("system_reset")

    def quit(self) -> None:
        """Cut the power: QEMU ends at once."""
        self.execute("quit")

    def save(self, tag: str, nodes: tuple[str, ...], *, seconds: float = 120.0) -> None:
        self._job("snapshot-save", {"tag": tag, "vmstate": nodes[0], "devices": list(nodes)}, seconds)

    def restore(self, tag: str, nodes: tuple[str, ...], *, seconds: float = 120.0) -> None:
        self.execute("stop")
        self._job("snapshot-load", {"tag": tag, "vmstate": nodes[0], "devices": list(nodes)}, seconds)
        self.execute("cont")

    def plug_in(self, stick: Path) -> None:
        file = {"driver": "file", "filename": str(stick)}
        self.execute("blockdev-add", {"node-name": STICK, "driver": "raw", "file": file})
        self.execute("device_add", {"driver": "usb-storage", "id": STICK, "drive": STICK, "bus": f"{USB}.0"})

    def pull_out(self) -> None:
        self.execute("device_del", {"id": STICK})
        end = self._clock.monotonic() + PULL_OUT_SECONDS
        while self._holds_stick():
            if self._clock.monotonic() >= end:
                raise MachineError(f"The machine still holds the stick after {PULL_OUT_SECONDS} s.")
            self._clock.sleep(JOB_POLL_SECONDS)
        self.execute("blockdev-del", {"node-name": STICK})

    def _holds_stick(self) -> bool:
        """Whether a device still reads it: one that was deleted goes a moment later."""
        drives = self.execute("query-block")
        return isinstance(drives, list) and any(each.get("inserted", {}).get("node-name") == STICK for each in drives)

    def _job(self, command: str, arguments: Arguments, seconds: float) -> None:
        """Run a command that works in the background, and wait for it."""
        self.execute(command, {"job-id": command, **arguments})
        end = self._clock.monotonic() + seconds
        while (job := self._find_job(command)).get("status") != "concluded":
            if self._clock.monotonic() >= end:
                raise MachineError(f"{command} took more than {seconds} s.")
            self._clock.sleep(JOB_POLL_SECONDS)
        self.execute("job-dismiss", {"id": command})
        if "error" in job:
            raise MachineError(f"{command} failed.", details=str(job["error"]))

    def _find_job(self, identifier: str) -> dict[str, object]:
        jobs = self.execute("query-jobs")
        found = [job for job in jobs if job.get("id") == identifier] if isinstance(jobs, list) else []
        return found[0] if found else {"status": "concluded", "error": "The job is gone."}

    def _read(self, command: str = "the greeting") -> dict[str, object]:
        """The next message. Events are messages too: they have neither `return` nor `error`."""
        try:
            line = self._lines.readline()
        except OSError as problem:
            raise _lost(command, str(problem)) from problem
        if not line:
            raise _lost(command, "The connection ended.")
        message: dict[str, object] = json.loads(line)
        return message


def _lost(command: str, why: str) -> MachineError:
    return MachineError(f"The machine did not answer {command}.", details=why)
