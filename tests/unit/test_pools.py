"""A node pool keeps AKS's rules, and everything wrong with one is told at once."""

from __future__ import annotations

import json

import msgspec
import pytest

from bedplate.model.errors import UserError
from bedplate.model.pools import NodePool, PoolMode, UpgradeSettings, findings, require_sound, require_system_pool

SOUND = NodePool(name="np1", node_image_version="Bedplate-1.37-amd64-202611.24.0", orchestrator_version="1.37.2")


def changed(**fields: object) -> NodePool:
    return msgspec.structs.replace(SOUND, **fields)


def abouts(pool: NodePool) -> list[str]:
    return [finding.about for finding in findings(pool)]


def test_a_pool_with_nothing_but_versions_is_sound() -> None:
    assert require_sound(SOUND) is SOUND


def test_a_pool_is_written_in_the_words_of_aks() -> None:
    assert json.loads(msgspec.json.encode(SOUND)) == {
        "name": "np1",
        "nodeImageVersion": "Bedplate-1.37-amd64-202611.24.0",
        "orchestratorVersion": "1.37.2",
        "count": 1,
        "mode": "User",
        "osSKU": "Bedplate",
        "nodeLabels": {},
        "nodeTaints": [],
        "writableCniBin": False,
        "upgradeSettings": {
            "maxSurge": "1",
            "maxUnavailable": "0",
            "drainTimeoutInMinutes": 30,
            "nodeSoakDurationInMinutes": 0,
            "undrainableNodeBehavior": "Schedule",
        },
    }


def test_a_pool_reads_as_it_was_written() -> None:
    assert msgspec.json.decode(msgspec.json.encode(SOUND), type=NodePool) == SOUND


@pytest.mark.parametrize("name", ["a", "np1", "abcdefghijkl"])
def test_names_that_aks_allows(name: str) -> None:
    assert abouts(changed(name=name)) == []


@pytest.mark.parametrize("name", ["", "1np", "NP", "a-b", "abcdefghijklm", "é", "np1\n"])
def test_names_that_aks_refuses(name: str) -> None:
    assert abouts(changed(name=name)) == ["name"]


@pytest.mark.parametrize(
    ("mode", "count", "sound"),
    [
        (PoolMode.USER, 0, True),
        (PoolMode.USER, 1000, True),
        (PoolMode.USER, 1001, False),
        (PoolMode.USER, -1, False),
        (PoolMode.SYSTEM, 0, False),
        (PoolMode.SYSTEM, 1, True),
    ],
)
def test_how_many_nodes_a_pool_may_have(mode: PoolMode, count: int, *, sound: bool) -> None:
    assert (abouts(changed(mode=mode, count=count)) == []) is sound


@pytest.mark.parametrize("key", ["tier", "example.com/tier", "node.kubernetes.io/x", "a.node.kubernetes.io/x"])
def test_labels_that_nodes_may_have(key: str) -> None:
    assert abouts(changed(node_labels={key: "a"})) == []


@pytest.mark.parametrize(
    "key", ["", "/x", "x/", "a b", "A.b/c", "kubernetes.io/x", "node-role.kubernetes.io/x", "x" * 64]
)
def test_labels_that_nodes_may_not_have(key: str) -> None:
    assert abouts(changed(node_labels={key: "a"})) == ["nodeLabels"]


@pytest.mark.parametrize("taint", ["gpu=yes:NoSchedule", "gpu:NoExecute", "e.com/x=:PreferNoSchedule"])
def test_taints_as_kubectl_writes_them(taint: str) -> None:
    assert abouts(changed(node_taints=(taint,))) == []


@pytest.mark.parametrize("taint", ["gpu", "gpu=yes", "gpu=yes:Never", "=yes:NoSchedule", "a=b=c:NoSchedule"])
def test_what_is_no_taint(taint: str) -> None:
    assert abouts(changed(node_taints=(taint,))) == ["nodeTaints"]


@pytest.mark.parametrize(
    ("settings", "about"),
    [
        (UpgradeSettings(max_surge="33%"), []),
        (UpgradeSettings(max_surge="101%"), ["maxSurge"]),
        (UpgradeSettings(max_surge="many"), ["maxSurge"]),
        (UpgradeSettings(max_surge="0"), ["maxSurge, maxUnavailable"]),
        (UpgradeSettings(max_surge="0", max_unavailable="1"), []),
        (UpgradeSettings(drain_timeout_in_minutes=4), ["drainTimeoutInMinutes"]),
        (UpgradeSettings(node_soak_duration_in_minutes=31), ["nodeSoakDurationInMinutes"]),
    ],
)
def test_how_fast_a_pool_may_change(settings: UpgradeSettings, about: list[str]) -> None:
    assert abouts(changed(upgrade_settings=settings)) == about


def test_an_image_of_another_minor_is_refused() -> None:
    assert abouts(changed(orchestrator_version="1.36")) == ["orchestratorVersion, nodeImageVersion"]


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(UserError, match="3 things to correct") as caught:
        require_sound(changed(name="NP", os_sku="Ubuntu", count=-1))
    assert [line.split(":")[0] for line in caught.value.details.splitlines()] == ["name", "osSKU", "count"]


def test_a_word_that_no_pool_has_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="vmSize"):
        msgspec.convert({**msgspec.to_builtins(SOUND), "vmSize": "x"}, NodePool)


def test_a_cluster_keeps_a_system_pool() -> None:
    system = changed(mode=PoolMode.SYSTEM)
    require_system_pool([SOUND, system])
    with pytest.raises(UserError, match="needs a System pool"):
        require_system_pool([SOUND])
