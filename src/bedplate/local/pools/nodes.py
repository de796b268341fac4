"""The nodes as the API server sees them: which are Ready, and waiting for the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import httpx

from bedplate.host.clock import Clock, wait_until
from bedplate.model.errors import PeerError
from bedplate.wire.node import Node, read_nodes

NODES = "/api/v1/nodes"
POLL_SECONDS = 0.5
EVER = datetime.min.replace(tzinfo=UTC)
"""For a machine that ran before: what its node says counts, however long ago it said it first."""


def not_ready(document: bytes, since: Mapping[str, datetime]) -> dict[str, str]:
    """Of the nodes named in `since`, those not Ready, each with why, from a NodeList (core/v1).

    What a node said before its time in `since` does not count: a machine that was switched off stays
    Ready in the API for a while.
    """
    nodes = {node.metadata.name: node for node in read_nodes(document)}
    found = {name: _why(nodes.get(name), time) for name, time in since.items()}
    return {name: why for name, why in found.items() if why}


def _why(node: Node | None, since: datetime) -> str:
    if node is None:
        return "has not joined yet"
    ready = node.condition("Ready")
    told = ready.last_heartbeat_time if ready else None
    # The API keeps whole seconds.
    if ready is None or told is None or told < since.replace(microsecond=0):
        return "has not told its state since it was switched on"
    return "" if ready.status == "True" else ready.message or f"Ready is {ready.status}"


def lost_nodes(api: httpx.Client, names: Iterable[str]) -> dict[str, str]:
    """Of these nodes, those that are not Ready, each with why. Raises `PeerError` when the API server does not say."""
    try:
        return not_ready(api.get(NODES).raise_for_status().content, dict.fromkeys(names, EVER))
    except httpx.HTTPError as problem:
        raise PeerError("The API server cannot be asked for its nodes.", details=str(problem)) from problem


def wait_for_nodes(
    api: httpx.Client, since: Mapping[str, datetime], clock: Clock, *, seconds: float, tell: Callable[[str], None]
) -> float:
    """Wait until every node in `since` has been Ready after its time; the seconds that took.

    `tell` gets how many are. Raises `PeerError` with what each is waiting for after `seconds`.
    """

    def missing() -> str:
        try:
            left = not_ready(api.get(NODES).raise_for_status().content, since)
        except httpx.HTTPError as problem:
            return f"the API server: {problem}"
        tell(f"{len(since) - len(left)} of {len(since)} Ready")
        return "\n".join(f"{name}: {why}" for name, why in left.items())

    waited = wait_until(missing, clock, seconds=seconds, every=POLL_SECONDS)
    if waited.missing:
        raise PeerError(
            f"Not all nodes were Ready within {seconds:g} s.",
            details=waited.missing,
            resolution="See what a machine says with `bedplate node console NAME`.",
        )
    return waited.seconds
