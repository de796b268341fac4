"""Gathers the facts of health: PID 1, the state partition, sockets on this machine, and the node's object."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bedplate.host.machine import Machine
from bedplate.host.peers import Peers
from bedplate.host.run import Runner
from bedplate.model.network import Caller, Reach
from bedplate.node.apiserver import OwnNode, object_in
from bedplate.node.boot import boot_id
from bedplate.node.health.facts import Facts, Membership, Probed
from bedplate.node.health.probes import FileProbe, HttpProbe, Probe, TcpProbe, UnitProbe
from bedplate.node.units import bad_units, unit_state

CONTAINERD = "run/containerd/containerd.sock"
KUBELET_HEALTH = "http://127.0.0.1:10248/healthz"
STATE = "var/lib/bedplate"


@dataclass(frozen=True, slots=True)
class Doctor:
    """The doors to the node whose health is asked for; `probes` are its user's own checks.

    `unsettled` is why its settings, and so those checks, cannot be used.
    """

    node: OwnNode
    peers: Peers
    runner: Runner
    machine: Machine
    probes: Sequence[Probe] = ()
    unsettled: str = ""
    root: Path = Path("/")

    def gather(self) -> Facts:
        """Everything as it is now. Raises nothing foreseen."""
        units = bad_units(self.runner)
        return Facts(
            asked=units is not None,
            units=units or (),
            state_writable=os.access(self.root / STATE, os.W_OK),
            disk_free=self.machine.free_space(self.root / STATE),
            memory_free=self.machine.available_memory(),
            containerd_answers=self.peers.speaks_http2(self.root / CONTAINERD),
            membership=self._membership() if self.node.belongs() else None,
            probed=tuple(Probed(probe.name, self._problem(probe)) for probe in self.probes),
            unsettled=self.unsettled,
        )

    def _membership(self) -> Membership:
        kubelet, api = self.peers.get(KUBELET_HEALTH, Caller()), self.node.ask()
        found = object_in(api)
        ready = found.condition("Ready") if found else None
        return Membership(
            kubelet=kubelet,
            api=api,
            told=found is not None and found.status.node_info.boot_id == boot_id(self.root),
            ready=ready is not None and ready.status == "True",
            message=ready.message if ready else "",
        )

    def _problem(self, probe: Probe) -> str:
        match probe:
            case HttpProbe():
                answer = self.peers.get(probe.url, Caller())
                wrong = "" if answer.status == probe.status else f"answers {answer.status}, not {probe.status}"
                return wrong if answer.reach is Reach.ANSWERED else f"{probe.url}: {answer.reach.value}"
            case TcpProbe():
                there = self.peers.connects(probe.host, probe.port)
                return "" if there else f"{probe.host} at port {probe.port} takes no connection"
            case UnitProbe():
                state = unit_state(self.runner, probe.unit) or "not known to systemd"
                return "" if state == probe.state else f"{probe.unit} is {state}, not {probe.state}"
            case FileProbe():
                there = (self.root / probe.path.lstrip("/")).exists()
                return "" if there is probe.there else f"{probe.path} is {'' if there else 'not '}there"
