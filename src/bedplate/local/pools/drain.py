"""Empties nodes before their machines go: cordoned first, then each pod asked to leave through the Eviction API."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import httpx

from bedplate.host.clock import Clock, wait_until
from bedplate.host.run import Completed
from bedplate.local.kubectl import Kubectl
from bedplate.local.pools.nodes import NODES, lost_nodes
from bedplate.local.pools.rules import Holdout, holdouts, orphans
from bedplate.model.errors import BedplateError, PeerError, UserError
from bedplate.model.pools import UndrainableNodeBehavior, UpgradeSettings
from bedplate.wire.node import read_nodes
from bedplate.wire.pod import Pod, read_budgets, read_pods

SLICE_SECONDS = 10
"""How long one `kubectl drain` tries; after each we tell what is left, and look whether the node is still there."""
AGAIN_SECONDS = 1.0
BUDGETS = "/apis/policy/v1/poddisruptionbudgets"


@dataclass(frozen=True, slots=True)
class Drainer:
    """Drains nodes as `kubectl drain --ignore-daemonsets --delete-emptydir-data` does.

    `settings` say how long each node gets and what becomes of the nodes when one cannot be drained.
    """

    kubectl: Kubectl
    api: httpx.Client
    clock: Clock
    settings: UpgradeSettings

    def drain(self, names: Sequence[str], tell: Callable[[str], None]) -> None:
        """Cordon the nodes, so that no pod moves to one that goes next, then drain one after the other.

        `tell` gets what is being waited for. Raises `UserError` before anything is changed when a node has pods
        that would be lost, `PeerError` when one is not empty in time or kubectl may not drain it. Whatever ends
        the draining, Ctrl-C too, the nodes that were not cordoned before become schedulable again, unless the
        settings say that they stay cordoned.
        """
        require_no_orphans(self.api, names)
        cordoned = self._schedulable(names)
        try:
            if cordoned:
                self.kubectl.run("cordon", *cordoned)
            for name in names:
                self._empty(name, tell)
        except BaseException as problem:
            self._let_go(cordoned, problem)
            raise

    def _empty(self, name: str, tell: Callable[[str], None]) -> None:
        minutes = self.settings.drain_timeout_in_minutes

        def missing() -> str:
            tell(_told(name, self._holdouts(name)))
            done = self._try(name)
            if done.code == 0 or lost_nodes(self.api, [name]):
                return ""
            return "\n".join(map(str, self._holdouts(name))) or _words(done)

        waited = wait_until(missing, self.clock, seconds=60.0 * minutes, every=AGAIN_SECONDS)
        if waited.missing:
            raise PeerError(
                f"Node {name} could not be drained within {minutes} min.",
                details=waited.missing,
                resolution="Let these pods go: give a workload more replicas than its budget needs, or change the "
                f"budget.\nThen run the command again. {self._what_became}",
            )

    def _try(self, name: str) -> Completed:
        """One slice. Raises `PeerError` when kubectl gave up before its time was over: waiting would not help."""
        options = ("--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={SLICE_SECONDS}s")
        argv = self.kubectl.argv("drain", name, *options)
        done = self.kubectl.runner.run(argv, ok=(0, 1), seconds=60.0 + SLICE_SECONDS)
        if done.code and done.seconds < SLICE_SECONDS:
            raise PeerError(
                f"Node {name} cannot be drained.",
                details=_words(done),
                resolution=f"Correct what kubectl says, then run the command again. {self._what_became}",
            )
        return done

    @property
    def _what_became(self) -> str:
        if self.settings.undrainable_node_behavior is UndrainableNodeBehavior.CORDON:
            return "No machine was deleted; the nodes stay cordoned until `kubectl uncordon`."
        return "No machine was deleted, and the nodes take pods again."

    def _let_go(self, names: Collection[str], problem: BaseException) -> None:
        if not names or self.settings.undrainable_node_behavior is UndrainableNodeBehavior.CORDON:
            return
        try:
            self.kubectl.run("uncordon", *names)
        except BedplateError as second:
            if isinstance(problem, Exception):
                raise ExceptionGroup("Nodes that could not be drained stay cordoned", [problem, second]) from second
            raise

    def _holdouts(self, name: str) -> tuple[Holdout, ...]:
        return holdouts(_pods(self.api, name), read_budgets(_ask(self.api, BUDGETS)))

    def _schedulable(self, names: Sequence[str]) -> list[str]:
        known = {node.metadata.name: node for node in read_nodes(_ask(self.api, NODES))}
        return [name for name in names if name in known and not known[name].spec.unschedulable]


def require_no_orphans(api: httpx.Client, names: Sequence[str]) -> None:
    """A `UserError` when there are pods on these nodes that nothing would make again elsewhere."""
    found = [f"{name}: {orphan}" for name in names for orphan in orphans(_pods(api, name))]
    if found:
        raise UserError(
            "There are pods that would be lost with their node.",
            details="\n".join(found),
            resolution="Delete them with `kubectl delete pod`, or let a Deployment have them, then try again.",
        )


def _pods(api: httpx.Client, name: str) -> tuple[Pod, ...]:
    return read_pods(_ask(api, f"/api/v1/pods?fieldSelector=spec.nodeName%3D{name}"))


def _ask(api: httpx.Client, path: str) -> bytes:
    try:
        return api.get(path).raise_for_status().content
    except httpx.HTTPError as problem:
        raise PeerError("The API server does not tell what a node runs.", details=str(problem)) from problem


def _told(name: str, left: Sequence[Holdout]) -> str:
    """The node and what it waits for: the first pod and how many more, since a line holds no more."""
    if not left:
        return name
    more = f", and {len(left) - 1} more" if len(left) > 1 else ""
    return f"{name}: {left[0]}{more}"


def _words(done: Completed) -> str:
    """What kubectl said, without what it leaves alone on purpose."""
    lines = done.stderr.decode(errors="replace").splitlines()
    return "\n".join(line for line in lines if not line.startswith("Warning: ignoring DaemonSet"))
