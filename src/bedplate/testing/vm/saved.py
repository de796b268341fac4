"""A cluster of one machine that is put back to the moment at which it was saved: machine and control plane together.

Memory and disk of the machine are QEMU's snapshot; what the API server knows are the files of etcd. Both go
back, so that nothing a test did outlives it in either, and neither knows of something the other has yet to do.

The machine is saved when the control plane has just been stopped: its connections are closed, and whoever had one
tries again and again. So each finds the new API server at once. A connection that was open when it was saved would
have its other end gone, and one on which the machine only listens, such as a watch for pods, finds out after 30 s.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from bedplate.host.clock import wait_until
from bedplate.local.pools.nodes import ANY, NODES, not_ready
from bedplate.model.machines import MachineState
from bedplate.testing.vm.machine import POLL_SECONDS, Vm, VmFailed
from bedplate.wire.cell import ProcessSpec

TAG = "ready"
PARTS = ("etcd", "pools", "known-machines.json")
"""What of the cluster's folder goes back: what the API server, the pools and the approver know."""
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{}"
READY_SECONDS = 120.0
"""A node renews its lease every ten seconds; a control plane needs five to start, many more on a busy computer."""
ETCD_SECONDS = 10.0
KILLED = 0.0


class _Metadata(msgspec.Struct, rename="camel"):
    resource_version: str


class _Lease(msgspec.Struct):
    metadata: _Metadata


@dataclass(slots=True)
class SavedCluster:
    """`plane` are the processes of its control plane in the order to start them, etcd first.

    `folder` is the cluster's, `kept` where the saved parts of it are; `api` makes a client of its API server.
    `lease` is the version of the node's lease when it was saved: another one was written by the restored node.
    """

    vm: Vm
    plane: tuple[ProcessSpec, ...]
    folder: Path
    kept: Path
    api: Callable[[], httpx.Client]
    lease: str = ""

    def save(self) -> None:
        """Keep everything as it is; afterwards nothing of it runs.

        The lease is read from what was kept, by a control plane that runs once more while the machine is off.
        """
        self._stop_plane(grace=ETCD_SECONDS)
        self.vm.save(TAG)
        self.vm.crash()
        for part in PARTS:
            _copy(self.folder / part, self.kept / part)
        self._start_plane()
        with self.api() as api:
            self.lease = self._wait_for_lease(api)
        self._stop_plane(grace=KILLED)

    def restore(self) -> float:
        """Put everything back and wait until the node is Ready by the API; the seconds that took.

        Raises `VmFailed` with the end of the machine's console when it does not become so.
        """
        began = self.vm.clock.monotonic()
        self.rest()
        for part in PARTS:
            _copy(self.kept / part, self.folder / part)
        self._start_plane()
        self.vm.announced = frozenset()
        self.vm.restore(TAG)
        with self.api() as api:
            self.vm.wait_while(lambda: self._missing(api), seconds=READY_SECONDS)
        took = self.vm.clock.monotonic() - began
        self.vm.say(f"{self.vm.name} is Ready again after {took:.1f} s.")
        return took

    def rest(self) -> None:
        """Stop whatever runs, and remove machines that were not there; a Ready node at rest costs a tenth of a core."""
        for machine in self.vm.provider.list():
            if machine.name != self.vm.name:
                self.vm.provider.delete(machine.name)
            elif machine.state is MachineState.RUNNING:
                self.vm.crash()
        self._stop_plane(grace=KILLED)

    def _start_plane(self) -> None:
        for spec in self.plane:
            self.vm.cell.start(spec)

    def _wait_for_lease(self, api: httpx.Client) -> str:
        """The lease once the API server gives it out."""
        found: list[str] = []

        def missing() -> str:
            try:
                found.append(self._read_lease(api))
            except httpx.HTTPError as problem:
                return f"the API server: {problem}"
            return ""

        waited = wait_until(missing, self.vm.clock, seconds=READY_SECONDS, every=POLL_SECONDS)
        if waited.missing:
            raise VmFailed(f"{self.vm.name} was saved, but its lease cannot be read: {waited.missing}")
        return found[0]

    def _stop_plane(self, *, grace: float) -> None:
        """End the control plane; only etcd has something to finish, and `grace` seconds for it."""
        for spec in reversed(self.plane):
            self.vm.cell.stop(spec.name, grace=grace if spec is self.plane[0] else KILLED)

    def _missing(self, api: httpx.Client) -> str:
        """What keeps the restored node from being Ready: its word from before the restore does not count."""
        try:
            if self._read_lease(api) == self.lease:
                return "the node has not renewed its lease"
            return why_not_ready(api, self.vm.name)
        except httpx.HTTPError as problem:
            return f"the API server: {problem}"

    def _read_lease(self, api: httpx.Client) -> str:
        answer = api.get(LEASE.format(self.vm.name)).raise_for_status()
        return msgspec.json.decode(answer.content, type=_Lease).metadata.resource_version


def why_not_ready(api: httpx.Client, node: str) -> str:
    """What the API server says against it; nothing when the node is Ready."""
    nodes = api.get(NODES).raise_for_status().content
    return not_ready(nodes, {node: ANY}).get(node, "")


def _copy(source: Path, target: Path) -> None:
    """Make `target` what `source` is, file or folder."""
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
