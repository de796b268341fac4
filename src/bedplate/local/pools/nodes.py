"""The nodes as the API server sees them: which are Ready, and waiting for the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import httpx

from bedplate.host.clock import Clock, wait_until
from bedplate.model.errors import PeerError
from bedplate.wire.node import Node, read_nodes

NODES = "/api/v1/nodes"
POLL_SECONDS = 0.5
ANY = ""
"""In the place of a boot: what the node says counts, in whichever boot it said so."""


def not_ready(document: bytes, before: Mapping[str, str]) -> dict[str, str]:
    """Of the nodes named in `before`, those not Ready, each with why, from a NodeList (core/v1).

    What a node said in the boot with the id in `before` does not count: a machine that was switched off stays Ready
    in the API for a while. Its clock is no help: it need not be ours.
    """
    nodes = {node.metadata.name: node for node in read_nodes(document)}
    found = {name: _why(nodes.get(name), boot) for name, boot in before.items()}
    return {name: why for name, why in found.items() if why}


def _why(node: Node | None, before: str) -> str:
    if node is None:
        return "has not joined yet"
    ready, boot = node.condition("Ready"), node.status.node_info.boot_id
    if ready is None or boot == before != ANY:
        return "has not told its state since it was switched on"
    return "" if ready.status == "True" else ready.message or f"Ready is {ready.status}"


def lost_nodes(api: httpx.Client, names: Iterable[str]) -> dict[str, str]:
    """Of these nodes, those that are not Ready, each with why. Raises `PeerError` when the API server does not say."""
    try:
        return not_ready(api.get(NODES).raise_for_status().content, dict.fromkeys(names, ANY))
    except httpx.HTTPError as problem:
        raise PeerError("The API server cannot be asked for its nodes.", details=str(problem)) from problem


def boots_of(api: httpx.Client, names: Iterable[str]) -> dict[str, str]:
    """The boot in which each of these nodes last told its state, by its id; ANY for one that never did.

    Raises `PeerError` when the API server does not say.
    """
    try:
        nodes = read_nodes(api.get(NODES).raise_for_status().content)
    except httpx.HTTPError as problem:
        raise PeerError("The API server cannot be asked for its nodes.", details=str(problem)) from problem
    known = {node.metadata.name: node.status.node_info.boot_id for node in nodes}
    return {name: known.get(name, ANY) for name in names}


def wait_for_nodes(
    api: httpx.Client, before: Mapping[str, str], clock: Clock, *, seconds: float, tell: Callable[[str], None]
) -> float:
    """Wait until every node in `before` is Ready in another boot than that; the seconds that took.

    `tell` gets how many are. Raises `PeerError` with what each is waiting for after `seconds`.
    """

    def missing() -> str:
        try:
            left = not_ready(api.get(NODES).raise_for_status().content, before)
        except httpx.HTTPError as problem:
            return f"the API server: {problem}"
        tell(f"{len(before) - len(left)} of {len(before)} Ready")
        return "\n".join(f"{name}: {why}" for name, why in left.items())

    waited = wait_until(missing, clock, seconds=seconds, every=POLL_SECONDS)
    if waited.missing:
        raise PeerError(
            f"Not all nodes were Ready within {seconds:g} s.",
            details=waited.missing,
            resolution="See what a machine says with `bedplate node console NAME`.",
        )
    return waited.seconds
