"""Node pools in the words of `az aks nodepool`, and every rule that a pool has to keep.

The fields are named after those of the AKS agent pool, so that what people know holds; limits and defaults follow
AKS's documentation on upgrades and are Bedplate's own where it is silent:
https://learn.microsoft.com/azure/templates/microsoft.containerservice/managedclusters/agentpools
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from enum import Enum

import msgspec

from bedplate.model.errors import UserError
from bedplate.model.verdicts import Finding, Severity, as_lines
from bedplate.model.versions import SKU, require_same_minor

MOST_NODES = 1000
_POOL = re.compile(r"[a-z][a-z0-9]{0,11}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
_PREFIX = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_AMOUNT = re.compile(r"([0-9]{1,4})(%?)", re.ASCII)
_TAINT = re.compile(r"([^=:]+)(?:=([^=:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)", re.ASCII)
_NODES_MAY_SET = ("kubelet.kubernetes.io", "node.kubernetes.io")


def _word(field: str) -> str:
    """The field's name in the API: camel case, but for the one that AKS writes otherwise."""
    if field == "os_sku":
        return "osSKU"
    first, *rest = field.split("_")
    return first + "".join(word.capitalize() for word in rest)


class PoolMode(Enum):
    """A System pool carries what the cluster itself needs, so it is never empty."""

    USER = "User"
    SYSTEM = "System"


class UndrainableNodeBehavior(Enum):
    """What becomes of a node that cannot be drained: left as it is and tried later, or kept cordoned."""

    SCHEDULE = "Schedule"
    CORDON = "Cordon"


class UpgradeSettings(msgspec.Struct, frozen=True, kw_only=True, rename=_word, forbid_unknown_fields=True):
    """How fast a pool may be changed. `max_surge` and `max_unavailable` are numbers or percentages."""

    max_surge: str = "1"
    max_unavailable: str = "0"
    drain_timeout_in_minutes: int = 30
    node_soak_duration_in_minutes: int = 0
    undrainable_node_behavior: UndrainableNodeBehavior = UndrainableNodeBehavior.SCHEDULE


class NodePool(msgspec.Struct, frozen=True, kw_only=True, rename=_word, forbid_unknown_fields=True):
    """What a pool should be. `node_image_version` and `orchestrator_version` are as written; `findings` judges.

    With `writable_cni_bin` its nodes let DaemonSets put pod network programs into /opt/cni/bin, and run them.
    """

    name: str
    node_image_version: str
    orchestrator_version: str
    count: int = 1
    mode: PoolMode = PoolMode.USER
    os_sku: str = SKU
    node_labels: dict[str, str] = msgspec.field(default_factory=dict)
    node_taints: tuple[str, ...] = ()
    writable_cni_bin: bool = False
    upgrade_settings: UpgradeSettings = UpgradeSettings()


def findings(pool: NodePool) -> tuple[Finding, ...]:
    """All that is wrong with the pool, each with what to do; nothing when it is sound."""
    checks = (_name, _sku, _count, _versions, _labels, _taints, _surge, _minutes)
    return tuple(finding for check in checks for finding in check(pool))


def require_sound(pool: NodePool) -> NodePool:
    """The pool itself, or a `UserError` that tells everything wrong with it at once."""
    found = findings(pool)
    if found:
        count = "one thing" if len(found) == 1 else f"{len(found)} things"
        raise UserError(f"The node pool {pool.name!r} has {count} to correct.", details=as_lines(found))
    return pool


def require_system_pool(pools: Collection[NodePool]) -> None:
    """A `UserError` when none of the pools is a System pool, without which a cluster carries nothing of its own."""
    if not any(pool.mode is PoolMode.SYSTEM for pool in pools):
        raise UserError(
            "A cluster needs a System pool.",
            resolution="Add another one first, with `bedplate nodepool add --mode System`.",
        )


def _name(pool: NodePool) -> Iterator[Finding]:
    if not _POOL.fullmatch(pool.name):
        yield _wrong("name", f"{pool.name!r} is not allowed.", "Use 1 to 12 of a-z and 0-9, a letter first.")


def _sku(pool: NodePool) -> Iterator[Finding]:
    if pool.os_sku != SKU:
        yield _wrong("osSKU", f"{pool.os_sku!r} is not built here.", f"The only one is {SKU}.")


def _count(pool: NodePool) -> Iterator[Finding]:
    least = 1 if pool.mode is PoolMode.SYSTEM else 0
    if not least <= pool.count <= MOST_NODES:
        yield _wrong("count", f"{pool.count} is not allowed.", f"A {pool.mode.value} pool has {least} to {MOST_NODES}.")


def _versions(pool: NodePool) -> Iterator[Finding]:
    try:
        require_same_minor(pool.orchestrator_version, pool.node_image_version)
    except UserError as problem:
        yield _wrong("orchestratorVersion, nodeImageVersion", problem.brief, problem.resolution)


def _labels(pool: NodePool) -> Iterator[Finding]:
    for key, value in pool.node_labels.items():
        if not _is_key(key):
            yield _wrong("nodeLabels", f"{key!r} is not a label's name.", "Use [prefix/]name with a name of 1 to 63.")
        elif _is_reserved(key):
            allowed = " and ".join(_NODES_MAY_SET)
            yield _wrong("nodeLabels", f"{key!r} is not for nodes to set.", f"Of Kubernetes' own, only {allowed} are.")
        if value and not _NAME.fullmatch(value):
            yield _wrong(
                "nodeLabels", f"{value!r} is not a label's value.", "Use up to 63 of A-Z, a-z, 0-9, -, _ and ."
            )


def _taints(pool: NodePool) -> Iterator[Finding]:
    for taint in pool.node_taints:
        match = _TAINT.fullmatch(taint)
        sound = match and _is_key(match[1]) and (not match[2] or _NAME.fullmatch(match[2]))
        if not sound:
            form = "Write key=value:NoSchedule, or PreferNoSchedule or NoExecute."
            yield _wrong("nodeTaints", f"{taint!r} is not a taint.", form)


def _surge(pool: NodePool) -> Iterator[Finding]:
    settings = pool.upgrade_settings
    amounts = {"maxSurge": settings.max_surge, "maxUnavailable": settings.max_unavailable}
    parsed = {name: _AMOUNT.fullmatch(text) for name, text in amounts.items()}
    for name, match in parsed.items():
        if match is None or (match[2] and int(match[1]) > 100):
            yield _wrong(
                name, f"{amounts[name]!r} is not an amount.", "Write a number of nodes or a percentage to 100%."
            )
    if all(match and not int(match[1]) for match in parsed.values()):
        yield _wrong("maxSurge, maxUnavailable", "Both are 0, so nothing could ever be upgraded.", "Raise one of them.")


def _minutes(pool: NodePool) -> Iterator[Finding]:
    settings = pool.upgrade_settings
    if not 5 <= settings.drain_timeout_in_minutes <= 1440:
        yield _wrong("drainTimeoutInMinutes", f"{settings.drain_timeout_in_minutes} is not allowed.", "Use 5 to 1440.")
    if not 0 <= settings.node_soak_duration_in_minutes <= 30:
        soak = settings.node_soak_duration_in_minutes
        yield _wrong("nodeSoakDurationInMinutes", f"{soak} is not allowed.", "Use 0 to 30.")


def _is_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return bool(_NAME.fullmatch(name)) and (not slash or bool(_PREFIX.fullmatch(prefix)))


def _is_reserved(key: str) -> bool:
    """What the kubelet refuses to set itself (NodeRestriction): the domains of Kubernetes, but for two."""
    prefix = key.rpartition("/")[0]
    if any(prefix == own or prefix.endswith(f".{own}") for own in _NODES_MAY_SET):
        return False
    return any(prefix == domain or prefix.endswith(f".{domain}") for domain in ("kubernetes.io", "k8s.io"))


def _wrong(about: str, message: str, advice: str) -> Finding:
    return Finding(Severity.ERROR, about, message, advice)
