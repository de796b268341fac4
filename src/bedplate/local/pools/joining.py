"""How the machines of a cluster join it, be its control plane ours or not, and how they leave it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import httpx

from bedplate.host.clock import Clock
from bedplate.host.run import Runner
from bedplate.local.approver import read_known_machines
from bedplate.local.authorities import CLUSTER
from bedplate.local.cluster import Cluster
from bedplate.local.foreign.kubectl import kubectl_for
from bedplate.local.foreign.look import GROUPS
from bedplate.local.foreign.record import Foreign
from bedplate.local.join import JoinTarget
from bedplate.local.kubeconfig import bootstrap_kubeconfig
from bedplate.local.order import read_order
from bedplate.local.pools.nodes import NODES
from bedplate.local.pools.plan import Deed, MachineAction
from bedplate.local.pools.token import have_token, read_token
from bedplate.local.releases import with_releases
from bedplate.model.errors import BedplateError, OurError, PeerError, UserError


def _token_file(folder: Path) -> Path:
    return folder / "token.json"


def join_target(cluster: Cluster, runner: Runner, clock: Clock) -> JoinTarget:
    """What a machine needs to join this cluster."""
    if cluster.order.foreign:
        return _foreign_target(cluster, cluster.order.foreign, runner, clock)
    token = have_token(_token_file(cluster.folder), clock, apply=cluster.kubectl(runner).apply)
    authority = cluster.own.pki.certificate(CLUSTER).read_bytes()
    addresses = cluster.own.addresses
    bootstrap = bootstrap_kubeconfig(
        cluster=cluster.order.name, server=addresses.server, authority=authority, token=token.text
    )
    target = JoinTarget(bootstrap, authority, addresses.cluster_dns, addresses.cluster_domain)
    return with_releases(target, cluster.order.releases, cluster.order.agent)


def _foreign_target(cluster: Cluster, foreign: Foreign, runner: Runner, clock: Clock) -> JoinTarget:
    token = have_token(_token_file(cluster.folder), clock, apply=cluster.kubectl(runner).apply, groups=GROUPS)
    bootstrap = bootstrap_kubeconfig(
        cluster=cluster.order.name, server=foreign.machine_server, authority=foreign.authority, token=token.text
    )
    target = JoinTarget(bootstrap, foreign.authority, cluster_dns=foreign.cluster_dns)
    return with_releases(target, cluster.order.releases, cluster.order.agent)


def require_free_names(api: httpx.Client, actions: Iterable[MachineAction]) -> None:
    """A `UserError` when a machine to be made would take the place of a node that is not ours.

    A token lets its bearer ask for the certificate of a node of any name, also of one that is there.
    """
    for action in actions:
        if action.deed is not Deed.CREATE:
            continue
        try:
            taken = api.get(f"{NODES}/{action.name}").status_code != httpx.codes.NOT_FOUND
        except httpx.HTTPError as problem:
            raise PeerError("The API server cannot be asked for its nodes.", details=str(problem)) from problem
        if taken:
            raise UserError(
                f"The cluster has a node {action.name} already.",
                resolution=f"Give pool {action.pool} another name, or delete the node if it is left over: "
                f"kubectl delete node {action.name}",
            )


def leave(folder: Path, runner: Runner) -> str:
    """Take our nodes and our token out of a control plane that is not ours; what was done, in a few words.

    A cluster that does not answer, or a record that cannot be read, must not keep the state here from being
    removed, so that is told rather than raised.
    """
    try:
        order = read_order(folder)
    except OurError:
        return ""
    if order.foreign is None:
        return ""
    nodes = sorted(read_known_machines(folder))
    token = read_token(_token_file(folder))
    objects = [f"node/{name}" for name in nodes] + ([f"secret/bootstrap-token-{token.id}"] if token else [])
    if not objects:
        return "no nodes to delete"
    kubectl = kubectl_for(order.foreign, order.programs["kubectl"], runner)
    try:
        kubectl.run("delete", "--namespace=kube-system", "--ignore-not-found", "--wait=false", *objects)
    except BedplateError as problem:
        why = (problem.details or problem.brief).splitlines()[-1]
        return f"left in {order.server}: {' '.join(objects)} ({why})"
    return f"{len(nodes)} nodes deleted from {order.server}"
