"""A node in a cluster becomes the version that it is told, on the cheapest way that works, and stays what it is."""

from __future__ import annotations

import re

import pytest

from bedplate.testing.published import Against
from bedplate.testing.updating import NODE, UpdateLab

pytestmark = [pytest.mark.vm, pytest.mark.in_order]

SICK = {
    "usr/lib/systemd/system/sick.service": "[Service]\nType=oneshot\nExecStart=systemctl no-such-word\n",
    "usr/lib/systemd/system/multi-user.target.wants/sick.service": "-> ../sick.service",
}
HELD_MIB, PLENTY_MB = 700, 3072
"""What pods take of a machine that has 2048, and what a machine has on which a kernel can be packed again."""
SMALL_BYTES = 1 << 20


def test_deltas_that_do_not_apply_give_way_to_the_full_payloads(update_lab: UpdateLab) -> None:
    before, foreign = update_lab.runs(), update_lab.image(5, SICK)
    version = update_lab.repository.publish(update_lab.image(1), Against(before, foreign))
    update_lab.update(version)
    assert update_lab.runs() == version
    status = update_lab.status()
    assert (status["version"], status["state"]) == (version, "Good")
    assert [*re.findall(r"(\w+)\.from-\S+ did not apply: .*; full payload", update_lab.ways(version))] == ["uki", "usr"]


def test_a_node_becomes_the_next_version_by_deltas(update_lab: UpdateLab) -> None:
    before = update_lab.runs()
    version = update_lab.repository.publish(update_lab.image(2), Against(before, update_lab.image(1)))
    update_lab.update(version)
    assert update_lab.runs() == version
    assert [line.split(": ", 1)[1].split()[0] for line in update_lab.ways(version).splitlines()] == ["delta", "delta"]


def test_a_kernel_is_not_packed_again_while_pods_need_the_memory(update_lab: UpdateLab) -> None:
    before = update_lab.runs()
    version = update_lab.repository.publish(update_lab.image(4), Against(before, update_lab.image(2), kernel=True))
    with update_lab.memory_taken(HELD_MIB):
        update_lab.update(version)
    assert update_lab.runs() == version
    passed_over = r"uki\.from-\S+ is passed over: it takes \d+ MiB, 512 MiB have to stay free, and \d+ MiB are; full"
    assert re.search(passed_over, update_lab.ways(version))


def test_going_back_by_hand_lasts_over_a_reboot(update_lab: UpdateLab) -> None:
    before, left = update_lab.image(2).manifest.version, update_lab.runs()
    update_lab.home.bedplate("node", "rollback", NODE)
    assert update_lab.runs() == before
    update_lab.restart()
    update_lab.wait_for_check()
    assert update_lab.runs() == before
    assert update_lab.failure(left)["reason"] == "left by hand"


def test_a_kernel_is_packed_again_apart_where_there_is_memory_and_boots(update_lab: UpdateLab) -> None:
    version = update_lab.image(4).manifest.version
    update_lab.refit(memory_mb=PLENTY_MB)
    update_lab.update(version)
    assert update_lab.runs() == version
    ways = update_lab.ways(version)
    made = re.search(r"UKI is installed with its tries: delta payload of (\d+) bytes, made apart", ways)
    assert made is not None, ways
    assert int(made[1]) < SMALL_BYTES


def test_a_version_that_is_not_healthy_is_left_with_its_reason_and_stays_left(update_lab: UpdateLab) -> None:
    before = update_lab.runs()
    sick = update_lab.publish(5, SICK)
    assert re.fullmatch(r"not healthy: sick\.service: failed.*", update_lab.try_in_vain(sick))
    update_lab.repository.promote(sick)
    for _ in range(3):
        update_lab.wait_for_check()
    assert update_lab.runs() == before
    assert update_lab.status()["state"] == "RolledBack"
    assert "not tried again unless told" in str(update_lab.status()["node_says"])
