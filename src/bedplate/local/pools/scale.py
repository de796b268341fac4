"""Carries out what the plan says, and waits until the cluster sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from bedplate.host.clock import Clock, wait_until
from bedplate.local.approver import write_known_machines
from bedplate.local.cell import network
from bedplate.local.join import JoinTarget, MachineIdentity, machine_credentials
from bedplate.local.pools.plan import Deed, MachineAction
from bedplate.model.errors import PeerError
from bedplate.model.machines import MachineOrder, MachineProvider, Power
from bedplate.model.pools import NodePool

POOL_LABEL = "bedplate.dev/nodepool"
NODES = "/api/v1/nodes"
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Scaler:
    """What carrying out needs: machines, the cluster to join, and images by version.

    `folder` is the cluster's own, where the approver reads which machines there are; `image` gives the
    folder of an image by its version.
    """

    provider: MachineProvider
    api: httpx.Client
    target: JoinTarget
    folder: Path
    image: Callable[[str], Path]

    def carry_out(self, actions: Iterable[MachineAction], pools: Mapping[str, NodePool]) -> None:
        """Do what the plan says. The approver is told of every machine before one starts."""
        actions = tuple(actions)
        alive = {each.name: network.address(each.number) for each in actions if each.deed is not Deed.DELETE}
        write_known_machines(self.folder, alive)
        for action in actions:
            match action.deed:
                case Deed.DELETE:
                    self.provider.delete(action.name)
                    self._forget(action.name)
                case Deed.POWER_ON:
                    self.provider.power(action.name, Power.ON)
                case Deed.CREATE:
                    self.provider.create(self._order(action, pools[action.pool]))
                case Deed.KEEP:
                    pass

    def _order(self, action: MachineAction, pool: NodePool) -> MachineOrder:
        identity = MachineIdentity(
            action.name,
            network.address(action.number),
            network.pod_cidr(action.number),
            labels={**pool.node_labels, POOL_LABEL: pool.name},
            taints=pool.node_taints,
        )
        return MachineOrder(
            number=action.number,
            name=action.name,
            pool=pool.name,
            image=self.image(pool.node_image_version),
            credentials=machine_credentials(identity, self.target),
        )

    def _forget(self, name: str) -> None:
        """Take the node out of the cluster, as a cloud's controller does when a machine is gone."""
        answer = self.api.delete(f"{NODES}/{name}")
        if answer.status_code != httpx.codes.NOT_FOUND:
            answer.raise_for_status()


class _Condition(msgspec.Struct, frozen=True):
    type: str
    status: str
    message: str = ""


class _Status(msgspec.Struct, frozen=True):
    conditions: tuple[_Condition, ...] = ()


class _Metadata(msgspec.Struct, frozen=True):
    name: str


class _Node(msgspec.Struct, frozen=True):
    metadata: _Metadata
    status: _Status


class _Nodes(msgspec.Struct, frozen=True):
    items: tuple[_Node, ...]


def not_ready(document: bytes, names: Iterable[str]) -> dict[str, str]:
    """Of the nodes `names`, those that are not Ready, each with why, from a NodeList (core/v1)."""
    nodes = {node.metadata.name: node for node in msgspec.json.decode(document, type=_Nodes).items}
    found = {}
    for name in names:
        if name not in nodes:
            found[name] = "has not joined yet"
            continue
        ready = [each for each in nodes[name].status.conditions if each.type == "Ready"]
        if not ready or ready[0].status != "True":
            found[name] = ready[0].message if ready else "has not told its state yet"
    return found


def wait_for_nodes(
    api: httpx.Client, names: Iterable[str], clock: Clock, *, seconds: float, tell: Callable[[str], None]
) -> float:
    """Wait until every node is Ready; the seconds that took. `tell` gets a line whenever the count changes.

    Raises `PeerError` with what each is waiting for after `seconds`.
    """
    names = tuple(names)

    def missing() -> str:
        try:
            left = not_ready(api.get(NODES).raise_for_status().content, names)
        except httpx.HTTPError as problem:
            return f"the API server: {problem}"
        tell(f"{len(names) - len(left)} of {len(names)} Ready")
        return "\n".join(f"{name}: {why}" for name, why in left.items())

    waited = wait_until(missing, clock, seconds=seconds, every=POLL_SECONDS)
    if waited.missing:
        raise PeerError(
            f"Not all nodes were Ready within {seconds:g} s.",
            details=waited.missing,
            resolution="See what a machine says with `bedplate node console NAME`.",
        )
    return waited.seconds
