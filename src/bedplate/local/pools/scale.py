"""Carries out what the plan says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from bedplate.local.approver import write_known_machines
from bedplate.local.cell import network
from bedplate.local.join import JoinTarget, MachineIdentity, bootstrap_credential, machine_credentials
from bedplate.local.pools.nodes import NODES
from bedplate.local.pools.plan import Deed, MachineAction
from bedplate.model.errors import PeerError
from bedplate.model.machines import MachineOrder, MachineProvider, Power
from bedplate.model.pools import NodePool

POOL_LABEL = "bedplate.dev/nodepool"


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
        """Do what the plan says with machines, whose nodes are drained by now.

        The approver is told of every machine before one starts.
        """
        actions = tuple(actions)
        alive = {each.name: network.address(each.number) for each in actions if each.stays}
        write_known_machines(self.folder, alive)
        for action in actions:
            match action.deed:
                case Deed.DELETE:
                    self.provider.delete(action.name)
                    self._forget(action.name)
                case Deed.POWER_ON:
                    # Its token may have ended before it joined, or its certificate while it was off.
                    self.provider.equip(action.name, bootstrap_credential(self.target))
                    self.provider.power(action.name, Power.ON)
                case Deed.CREATE:
                    self.provider.create(self._order(action, pools[action.pool]))
                case Deed.KEEP | Deed.DRAIN:
                    pass

    def _order(self, action: MachineAction, pool: NodePool) -> MachineOrder:
        identity = MachineIdentity(
            action.name,
            network.address(action.number),
            network.pod_cidr(action.number),
            labels={**pool.node_labels, POOL_LABEL: pool.name},
            taints=pool.node_taints,
            writable_cni_bin=pool.writable_cni_bin,
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
        try:
            answer = self.api.delete(f"{NODES}/{name}")
            if answer.status_code != httpx.codes.NOT_FOUND:
                answer.raise_for_status()
        except httpx.HTTPError as problem:
            raise PeerError(
                f"The machine {name} is gone, but its node is still in the cluster.",
                details=str(problem),
                resolution=f"Take it out with `kubectl delete node {name}`, then run the command again.",
            ) from problem
