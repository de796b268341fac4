"""A node that is Ready, for tests that are not about booting: booted once, then put back for each of them.

Measured without KVM on two cores with much else to do: 100 to 150 s from switching on to Ready, 8 to 23 s from
restoring to Ready. Half of that is the control plane's start, the rest the wait until the kubelet renews its lease.

The clock in the machine goes on from where it was saved, until it boots again: it is behind by the time that
passed in between. Kubernetes does not mind, since nobody there compares two computers' clocks; a certificate
that a test makes for the machine to check has to be dated back.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from bedplate.host.clock import Clock
from bedplate.host.run import Runner
from bedplate.local.approver import approver_process
from bedplate.local.cluster import Cluster, open_cluster
from bedplate.local.controlplane import control_plane_processes
from bedplate.local.pools.nodes import NODES
from bedplate.local.pools.reconcile import provider
from bedplate.local.probe import Prober
from bedplate.testing.home import Home, free_port, home_with_our_keys
from bedplate.testing.vm.machine import Say, Vm
from bedplate.testing.vm.saved import SavedCluster, why_not_ready

BOOT_SECONDS = 600.0
"""More than a boot takes without KVM on a busy computer."""


class _Info(msgspec.Struct):
    boot_id: str = msgspec.field(name="bootID")


class _Status(msgspec.Struct):
    node_info: _Info = msgspec.field(name="nodeInfo")


class _Node(msgspec.Struct):
    status: _Status


@dataclass(frozen=True, slots=True)
class ReadyNode:
    """The only node of a cluster: its machine `vm`, the cluster as a person would use it, `home`, and both as `saved`.

    A test may do to both whatever it wants, but remove the machine or shut down the cluster.
    """

    vm: Vm
    home: Home
    prober: Prober
    saved: SavedCluster

    @property
    def name(self) -> str:
        return self.vm.name

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.home.kubeconfig

    def kubectl(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Run `kubectl` as the administrator and give what it printed."""
        return self.home.kubectl(*arguments, stdin=stdin)

    def probe(self, *arguments: str) -> str:
        """What Kubernetes' test program (agnhost) says in a pod of the node, which has the node's / at /host."""
        return self.prober.ask(self.name, *arguments)

    def restore(self) -> None:
        """Take back whatever was done to node and cluster, and wait until the node is Ready."""
        self.saved.restore()

    def boot_id(self) -> str:
        """Which boot the API server knows of: another one each time the machine starts."""
        with self.saved.api() as api:
            return self._read_boot(api)

    def wait_for_next_boot(self, *, after: str, seconds: float = BOOT_SECONDS) -> None:
        """Wait until the node is Ready in another boot than `after`.

        Raises `VmFailed` with the end of the console when it does not become so, or the machine is in trouble.
        """

        def missing() -> str:
            try:
                if self._read_boot(api) == after:
                    return "the node has not come back from its boot"
                return why_not_ready(api, self.name)
            except httpx.HTTPError as problem:
                return f"the API server: {problem}"

        with self.saved.api() as api:
            self.vm.wait_while(missing, seconds=seconds)

    def _read_boot(self, api: httpx.Client) -> str:
        answer = api.get(f"{NODES}/{self.name}").raise_for_status()
        return msgspec.json.decode(answer.content, type=_Node).status.node_info.boot_id

    def consoles(self) -> str:
        """The end of its console, for the message of a test that failed."""
        return self.home.consoles()


@contextmanager
def open_ready(state: Path, *, runner: Runner, clock: Clock, say: Say) -> Iterator[ReadyNode]:
    """A node in a cluster in the state folder `state`, saved when it was Ready. Nothing of it runs before a restore.

    It has run a pod before, so it has the image of the probe and the certificate with which it gives out logs.
    """
    home = home_with_our_keys(state, runner)
    try:
        say("Bring up a cluster of one node.")
        home.bedplate("cluster", "up", "--nodes=1", f"--api-port={free_port()}", f"--registry-port={free_port()}")
        cluster = open_cluster(home.cluster, clock)
        machines = provider(cluster, runner)
        (machine,) = machines.list()
        vm = Vm(machine, machines, cluster.cell, clock, say)
        prober = Prober(home.admin, f"bedplate.local/agnhost:{cluster.order.kubernetes}")
        node = ReadyNode(vm, home, prober, _to_save(vm, cluster, state / "saved"))
        node.probe("mounttest", "--file_mode=/host/usr/lib/os-release")
        node.saved.save()
        yield node
    finally:
        home.bedplate("cluster", "down", "--all")


def _to_save(vm: Vm, cluster: Cluster, kept: Path) -> SavedCluster:
    plane = cluster.own
    processes = (*control_plane_processes(plane), approver_process(plane, python=Path(sys.executable)))
    return SavedCluster(vm, processes, cluster.folder, kept, cluster.api)
