"""Which control plane a cluster has: its own, the one that a kubeconfig names, or the one that it had before."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bedplate.host.run import Runner
from bedplate.local.foreign.kubectl import ForeignKubectl, kubectl_for
from bedplate.local.foreign.look import look
from bedplate.local.foreign.record import Foreign
from bedplate.local.order import RECORD, ClusterOrder, read_order
from bedplate.model.errors import UserError

ANEW = "Remove the cluster with `bedplate cluster down --all` first."


def kept_foreign(folder: Path) -> Foreign | None:
    """The foreign control plane that the cluster of `folder` has joined; `None` for one of its own, or no cluster."""
    return read_order(folder).foreign if (folder / RECORD).exists() else None


def kept_releases(folder: Path) -> Path | None:
    """The release repository that the cluster of `folder` has served so far."""
    return read_order(folder).releases if (folder / RECORD).exists() else None


def kept_agent(folder: Path) -> str:
    """The settings of the agent that machines of the cluster of `folder` got so far."""
    return read_order(folder).agent if (folder / RECORD).exists() else ""


def with_control_plane(order: ClusterOrder, folder: Path, kubeconfig: Path | None, runner: Runner) -> ClusterOrder:
    """`order` with the foreign control plane that `kubeconfig` names, or that the cluster had before.

    Raises `UserError` when machines cannot join it, or when the cluster has another one already.
    """
    kept, program = kept_foreign(folder), order.programs["kubectl"]
    if kubeconfig is not None:
        if kept is None and (folder / RECORD).exists():
            raise UserError("The local cluster has a control plane of its own.", resolution=ANEW)
        kubectl = ForeignKubectl(runner, program, kubeconfig)
    elif kept is not None:
        kubectl = kubectl_for(kept, program, runner)
    else:
        return order
    found = look(kubectl, order.image_version)
    if kept is not None and not found.same_place(kept):
        raise UserError(
            f"The machines of the local cluster belong to {kept.server}, not to {found.server}.", resolution=ANEW
        )
    return msgspec.structs.replace(order, foreign=found)
