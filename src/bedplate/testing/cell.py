"""A cell in memory: processes that run until they are stopped, and network devices that only have names."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from bedplate.host.run import Completed
from bedplate.model.errors import MachineError
from bedplate.wire.cell import ProcessSpec, ProcessStatus


class FakeCell:
    """Implements `bedplate.local.cell.client.Cell`.

    `specs` are the processes that run, by name; `ended` those that ended by themselves, with their
    code. `commands` are the programs that were run to their end, looking at devices left out. Programs
    in `missing` cannot be started, those in `short_lived` end at once with code 1.
    """

    def __init__(self) -> None:
        self.specs: dict[str, ProcessSpec] = {}
        self.ended: dict[str, int] = {}
        self.commands: list[tuple[str, ...]] = []
        self.devices: set[str] = {"lo"}
        self.missing: set[str] = set()
        self.short_lived: set[str] = set()

    def start(self, spec: ProcessSpec) -> ProcessStatus:
        if spec.name in self.specs:
            raise MachineError(f"A process named {spec.name} is there already.")
        if spec.argv[0] in self.missing:
            raise MachineError(f"{spec.argv[0]} cannot be started.")
        self.ended.pop(spec.name, None)
        self.specs[spec.name] = spec
        if spec.argv[0] in self.short_lived:
            self.end(spec.name, 1)
        return _running(spec.name)

    def stop(self, name: str, *, grace: float = 10.0) -> ProcessStatus | None:
        del grace
        if self.specs.pop(name, None) is None:
            code = self.ended.pop(name, None)
            return None if code is None else _exited(name, code)
        return _exited(name, -15)

    def list(self) -> tuple[ProcessStatus, ...]:
        return (
            *(_running(name) for name in self.specs),
            *(_exited(name, code) for name, code in self.ended.items()),
        )

    def run(self, argv: Sequence[str], *, ok: Collection[int] = (0,), seconds: float = 10.0) -> Completed:
        del ok, seconds
        match tuple(argv):
            case ("ip", "-json", "link", "show"):
                links = json.dumps([{"ifname": name} for name in sorted(self.devices)])
                return Completed(tuple(argv), 0, links.encode(), b"", 0.0)
            case ("ip", "link" | "tuntap", "add", device, *_):
                self.devices.add(device)
            case ("ip", "link", "del", device):
                self.devices.remove(device)
            case _:
                pass
        self.commands.append(tuple(argv))
        return Completed(tuple(argv), 0, b"", b"", 0.0)

    def end(self, name: str, code: int) -> None:
        """The process ends by itself."""
        del self.specs[name]
        self.ended[name] = code


def _running(name: str) -> ProcessStatus:
    return ProcessStatus(name=name, state="running", code=None, restarts=0, seconds=1.0)


def _exited(name: str, code: int) -> ProcessStatus:
    return ProcessStatus(name=name, state="exited", code=code, restarts=0, seconds=1.0)
