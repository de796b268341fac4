"""In what state a pool is, in the words of `az aks nodepool`: told from its machines and nodes, since nothing keeps it.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import Enum

import msgspec

from bedplate.model.machines import Machine, MachineState
from bedplate.model.pools import NodePool


class ProvisioningState(Enum):
    """Succeeded: machines and nodes are what the pool says. Updating: a command is at it. Failed: neither.

    Unknown: machines are what the pool says, and the API server does not tell of their nodes.
    """

    SUCCEEDED = "Succeeded"
    UPDATING = "Updating"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


class PowerCode(Enum):
    """Running: at least one machine is on, or there is to be none. Stopped: all are off."""

    RUNNING = "Running"
    STOPPED = "Stopped"


class PowerState(msgspec.Struct, frozen=True):
    """The API of AKS has the word one level down."""

    code: PowerCode


class ShownPool(NodePool, frozen=True, kw_only=True):
    """A pool with its state. `ready_count` is how many of its nodes are Ready; None when that is not known."""

    provisioning_state: ProvisioningState
    power_state: PowerState
    ready_count: int | None


def shown(pool: NodePool, machines: Sequence[Machine], lost: Collection[str] | None, *, changing: bool) -> ShownPool:
    """The pool with its state. `lost` are names of nodes that are not Ready, None when nobody tells.

    `changing` tells that a command is changing the cluster. A machine that is off has no Ready node, whatever the API
    server says of it for a while.
    """
    own = [machine for machine in machines if machine.pool == pool.name]
    on = [machine for machine in own if machine.state is MachineState.RUNNING]
    ready = None if lost is None else sum(machine.name not in lost for machine in on)
    power = PowerCode.RUNNING if on or not pool.count else PowerCode.STOPPED
    return ShownPool(
        **{name: getattr(pool, name) for name in NodePool.__struct_fields__},
        provisioning_state=_provisioning(pool, len(own), len(on), ready, changing=changing),
        power_state=PowerState(power),
        ready_count=ready,
    )


def _provisioning(pool: NodePool, own: int, on: int, ready: int | None, *, changing: bool) -> ProvisioningState:
    if changing:
        return ProvisioningState.UPDATING
    if own != pool.count or on != pool.count:
        return ProvisioningState.FAILED
    if ready is None:
        return ProvisioningState.UNKNOWN
    return ProvisioningState.SUCCEEDED if ready == pool.count else ProvisioningState.FAILED
