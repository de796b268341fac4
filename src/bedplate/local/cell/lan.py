"""Carries out the network plan in a cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bedplate.host.files import write_atomically
from bedplate.local.cell import network
from bedplate.local.cell.client import Cell


@dataclass(frozen=True, slots=True)
class Lan:
    """The one network of a cell. `folder` holds what its DHCP server reads and writes.

    Every call looks at what is there first, so each may be repeated. They raise `MachineError` when a
    program is missing or fails.
    """

    cell: Cell
    folder: Path

    def prepare(self, *, names: Mapping[str, str] | None = None) -> None:
        """Make the bridge and start its DHCP server, which knows `names` with their addresses."""
        self._run(network.prepare(self._present()))
        if any(process.name == network.DNSMASQ for process in self.cell.list()):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        hosts = self.folder / "dhcp-hosts"
        write_atomically(hosts, network.dhcp_hosts().encode())
        self.cell.start(network.dnsmasq(self.folder, hosts, names or {}))

    def lend(self, address: str) -> None:
        """Make the cell answer at `address` too."""
        self._run([network.lend(address)])

    def attach(self, number: int) -> None:
        """Give machine `number` its tap and route."""
        self._run(network.attach(number, self._present()))

    def detach(self, number: int) -> None:
        """Take them away again."""
        self._run(network.detach(number, self._present()))

    def _present(self) -> frozenset[str]:
        return network.device_names(self.cell.run(["ip", "-json", "link", "show"]).stdout)

    def _run(self, commands: list[network.Command]) -> None:
        for command in commands:
            self.cell.run(command)
