"""Machines of this computer, as a machine provider."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bedplate.host.clock import Clock, SystemClock
from bedplate.host.files import discard, folder_in_one_step, remove_leftovers, write_atomically
from bedplate.host.run import Runner
from bedplate.local.cell import network
from bedplate.local.cell.client import Cell
from bedplate.local.cell.lan import Lan
from bedplate.local.machines import qemu, records
from bedplate.local.machines.firmware import enrolled_variables
from bedplate.local.machines.qmp import MachineMonitor, Monitor
from bedplate.local.machines.records import MachineRecord
from bedplate.local.machines.starting import Connect, await_monitor
from bedplate.model.errors import BedplateError, UserError
from bedplate.model.machines import Machine, MachineOrder, MachineState, Power
from bedplate.wire.cell import ProcessSpec

DISK_GIB = 20
LOG = "qemu.log"
IMAGE_DISK, IMAGE_CERTIFICATE = "disk.raw", "db.crt"


@dataclass(frozen=True, slots=True)
class LocalProvider:
    """Implements `MachineProvider` with QEMU in `cell`; each machine has a folder in `folder`.

    `templates` is a cache of firmware variables, `lan` the prepared network of the cell.
    """

    cell: Cell
    lan: Lan
    folder: Path
    templates: Path
    runner: Runner
    firmware: qemu.Firmware
    accelerator: qemu.Accelerator
    connect: Connect = Monitor
    clock: Clock = field(default_factory=SystemClock)

    def create(self, order: MachineOrder) -> Machine:
        for known in self._records():
            if known.name == order.name or known.number == order.number:
                raise UserError(
                    f"There is a machine {known.name} with number {known.number} already.",
                    resolution="Delete it first, or choose another name and number.",
                )
        record = self._lay_out(order)
        try:
            self._switch_on(record)
        except BedplateError:
            self.delete(record.name)
            raise
        return self._machine(record, MachineState.RUNNING)

    def delete(self, name: str) -> None:
        record = self._find(name)
        self.cell.stop(_process(name))
        self.lan.detach(record.number)
        discard(self.folder / name)

    def list(self) -> Sequence[Machine]:
        running = self._running()
        return [
            self._machine(record, MachineState.RUNNING if _process(record.name) in running else MachineState.STOPPED)
            for record in self._records()
        ]

    def reimage(self, order: MachineOrder) -> Machine:
        known = self._find(order.name)
        if known.number != order.number:
            raise UserError(f"Machine {known.name} has number {known.number}, not {order.number}.")
        self.delete(order.name)
        return self.create(order)

    def equip(self, name: str, credentials: Mapping[str, bytes]) -> None:
        record = self._find(name)
        unknown = sorted(set(credentials) - set(record.credentials))
        if unknown:
            raise UserError(f"Machine {name} was made without a credential {unknown[0]}.")
        _write_credentials(self.folder / name, credentials)

    def power(self, name: str, power: Power) -> Machine:
        record = self._find(name)
        runs = _process(name) in self._running()
        match power:
            case Power.OFF:
                self.cell.stop(_process(name))
                return self._machine(record, MachineState.STOPPED)
            case Power.RESET if runs:
                with self.monitor(name) as monitor:
                    monitor.reset()
            case _ if not runs:
                self._switch_on(record)
            case _:
                pass
        return self._machine(record, MachineState.RUNNING)

    def refit(self, name: str, *, memory_mb: int | None = None, usb: bool | None = None) -> None:
        """Change what a stopped machine is made of; its disk and its identity stay."""
        record = self._find(name)
        if _process(name) in self._running():
            raise UserError(f"Machine {name} runs.", resolution="Switch it off first.")
        refitted = msgspec.structs.replace(
            record,
            memory_mb=record.memory_mb if memory_mb is None else memory_mb,
            usb=record.usb if usb is None else usb,
        )
        write_atomically(self.folder / name / records.RECORD, records.encode(refitted))

    def monitor(self, name: str) -> MachineMonitor:
        """A conversation with the running machine. Raises `MachineError` when it does not run."""
        return self.connect(self.folder / self._find(name).name / qemu.MONITOR)

    def console(self, name: str) -> Path:
        """The file that gets what the machine writes to its serial console."""
        return self.folder / self._find(name).name / qemu.CONSOLE

    def save(self, name: str, tag: str) -> None:
        """Keep the machine's memory and disks under `tag`."""
        with self.monitor(name) as monitor:
            monitor.save(tag, qemu.SNAPSHOT_NODES)

    def restore(self, name: str, tag: str) -> None:
        """Put the running machine back to what was kept under `tag`."""
        with self.monitor(name) as monitor:
            monitor.restore(tag, qemu.SNAPSHOT_NODES)

    def resume(self, name: str, tag: str) -> Machine:
        """Switch a stopped machine on in the state that was kept under `tag`."""
        record = self._find(name)
        self._switch_on(record, snapshot=tag)
        return self._machine(record, MachineState.RUNNING)

    def _lay_out(self, order: MachineOrder) -> MachineRecord:
        """Write the machine's folder, whole or not at all."""
        image = order.image.resolve()
        template = enrolled_variables(
            self.firmware, _part(image, IMAGE_CERTIFICATE), cache=self.templates, runner=self.runner
        )
        record = MachineRecord(
            number=order.number,
            name=order.name,
            pool=order.pool,
            image=str(image),
            memory_mb=order.memory_mb,
            cpus=order.cpus,
            credentials=tuple(sorted(order.credentials)),
        )
        self._command(record)
        remove_leftovers(self.folder / order.name)
        with folder_in_one_step(self.folder / order.name) as scratch:
            scratch.chmod(0o700)  # the disk gets the node's keys, and what its pods keep
            (scratch / qemu.CREDENTIALS).mkdir(mode=0o700)
            _write_credentials(scratch, order.credentials)
            shutil.copyfile(template, scratch / qemu.VARS)
            overlay = qemu.create_overlay(_part(image, IMAGE_DISK), scratch / qemu.DISK, gibibytes=DISK_GIB)
            self.runner.run(overlay, seconds=60)
            (scratch / qemu.CONSOLE).touch()
            write_atomically(scratch / records.RECORD, records.encode(record))
        return record

    def _switch_on(self, record: MachineRecord, *, snapshot: str = "") -> None:
        folder, log = self.folder / record.name, self.folder / record.name / LOG
        name = _process(record.name)
        self.lan.attach(record.number)
        for stale in (folder / qemu.MONITOR, log):
            stale.unlink(missing_ok=True)
        command = self._command(record, snapshot=snapshot)
        self.cell.start(ProcessSpec(name=name, argv=command, log=str(log), cwd=str(folder)))
        await_monitor(
            self.connect,
            folder / qemu.MONITOR,
            runs=lambda: name in self._running(),
            log=log,
            clock=self.clock,
        )

    def _command(self, record: MachineRecord, *, snapshot: str = "") -> tuple[str, ...]:
        resources = qemu.Resources(
            name=record.name,
            tap=network.tap(record.number),
            mac=network.mac(record.number),
            memory_mb=record.memory_mb,
            cpus=record.cpus,
            credentials=record.credentials,
            usb=record.usb,
        )
        return qemu.argv(resources, self.firmware, self.accelerator, snapshot=snapshot)

    def _records(self) -> Sequence[MachineRecord]:
        return records.read_all(self.folder)

    def _running(self) -> frozenset[str]:
        return frozenset(process.name for process in self.cell.list() if process.state == "running")

    def _find(self, name: str) -> MachineRecord:
        for record in self._records():
            if record.name == name:
                return record
        raise UserError(f"There is no machine {name}.", resolution="List the machines with `bedplate node list`.")

    def _machine(self, record: MachineRecord, state: MachineState) -> Machine:
        return Machine(record.name, record.number, record.pool, network.address(record.number), state)


def _write_credentials(machine: Path, credentials: Mapping[str, bytes]) -> None:
    for name, content in credentials.items():
        write_atomically(machine / qemu.CREDENTIALS / name, content, mode=0o600)


def _process(name: str) -> str:
    """The name of the machine's process in the cell."""
    return f"machine-{name}"


def _part(image: Path, name: str) -> Path:
    path = image / name
    if not path.is_file():
        raise UserError(
            f"{image} is not an image.",
            details=f"{path} is missing.",
            resolution="Build one with `bedplate image build`.",
        )
    return path
