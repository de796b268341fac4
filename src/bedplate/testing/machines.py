"""Machines in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bedplate.local.cell import network
from bedplate.model.errors import MachineError, UserError
from bedplate.model.machines import Machine, MachineOrder, MachineState, Power


class FakeProvider:
    """Implements `bedplate.model.machines.MachineProvider`.

    `orders` are what the machines were made to, by name; `boots` every switching on, in order; `told` the
    credentials with which each is started. A machine whose name is in `broken` cannot be made.
    """

    def __init__(self, machines: Sequence[Machine] = ()) -> None:
        self._machines = {machine.name: machine for machine in machines}
        self.orders: dict[str, MachineOrder] = {}
        self.boots: list[str] = []
        self.told: dict[str, dict[str, bytes]] = {machine.name: {} for machine in machines}
        self.broken: set[str] = set()

    def create(self, order: MachineOrder) -> Machine:
        for known in self._machines.values():
            if known.name == order.name or known.number == order.number:
                raise UserError(f"There is a machine {known.name} with number {known.number} already.")
        if order.name in self.broken:
            raise MachineError("QEMU ended at once.")
        self.orders[order.name] = order
        self.told[order.name] = dict(order.credentials)
        return self._keep(
            Machine(order.name, order.number, order.pool, network.address(order.number), MachineState.STOPPED), on=True
        )

    def delete(self, name: str) -> None:
        del self._machines[self._find(name).name]
        self.orders.pop(name, None)

    def list(self) -> Sequence[Machine]:
        return sorted(self._machines.values(), key=lambda machine: machine.number)

    def reimage(self, order: MachineOrder) -> Machine:
        known = self._find(order.name)
        if known.number != order.number:
            raise UserError(f"Machine {known.name} has number {known.number}, not {order.number}.")
        self.delete(order.name)
        return self.create(order)

    def equip(self, name: str, credentials: Mapping[str, bytes]) -> None:
        self.told[self._find(name).name] |= credentials

    def power(self, name: str, power: Power) -> Machine:
        return self._keep(self._find(name), on=power is not Power.OFF)

    def _keep(self, machine: Machine, *, on: bool) -> Machine:
        if on and machine.state is MachineState.STOPPED:
            self.boots.append(machine.name)
        kept = replace(machine, state=MachineState.RUNNING if on else MachineState.STOPPED)
        self._machines[machine.name] = kept
        return kept

    def _find(self, name: str) -> Machine:
        if name not in self._machines:
            raise UserError(f"There is no machine {name}.")
        return self._machines[name]
