"""A node in a cluster becomes the version that it is told, on the cheapest way that works, and stays what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bedplate.image.build import Image
from bedplate.testing.published import Against
from bedplate.testing.updating import NODE, UpdateLab, open_update_lab

pytestmark = pytest.mark.vm

SICK = {
    "usr/lib/systemd/system/sick.service": "[Service]\nType=oneshot\nExecStart=systemctl no-such-word\n",
    "usr/lib/systemd/system/multi-user.target.wants/sick.service": "-> ../sick.service",
}
HELD_MIB, PLENTY_MB = 700, 3072
"""What pods take of a machine that has 2048, and what a machine has on which a kernel can be packed again."""
SMALL_BYTES = 1 << 20


@pytest.fixture(scope="module")
def lab(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpdateLab]:
    del image  # what is built of it is built before its keys are taken
    with open_update_lab(tmp_path_factory.mktemp("state")) as opened:
        yield opened


def test_deltas_that_do_not_apply_give_way_to_the_full_payloads(lab: UpdateLab) -> None:
    before, foreign = lab.runs(), lab.image(5, SICK)
    version = lab.repository.publish(lab.image(1), Against(before, foreign))
    lab.update(version)
    assert lab.runs() == version
    status = lab.status()
    assert (status["version"], status["state"]) == (version, "Good")
    assert [*re.findall(r"(\w+)\.from-\S+ did not apply: .*; full payload", lab.ways(version))] == ["uki", "usr"]


def test_a_node_becomes_the_next_version_by_deltas(lab: UpdateLab) -> None:
    before = lab.runs()
    version = lab.repository.publish(lab.image(2), Against(before, lab.image(1)))
    lab.update(version)
    assert lab.runs() == version
    assert [line.split(": ", 1)[1].split()[0] for line in lab.ways(version).splitlines()] == ["delta", "delta"]


def test_a_kernel_is_not_packed_again_while_pods_need_the_memory(lab: UpdateLab) -> None:
    before = lab.runs()
    version = lab.repository.publish(lab.image(4), Against(before, lab.image(2), kernel=True))
    with lab.memory_taken(HELD_MIB):
        lab.update(version)
    assert lab.runs() == version
    passed_over = r"uki\.from-\S+ is passed over: it takes \d+ MiB, 512 MiB have to stay free, and \d+ MiB are; full"
    assert re.search(passed_over, lab.ways(version))


def test_going_back_by_hand_lasts_over_a_reboot(lab: UpdateLab) -> None:
    before, left = lab.image(2).manifest.version, lab.runs()
    lab.home.bedplate("node", "rollback", NODE)
    assert lab.runs() == before
    lab.restart()
    lab.wait_for_check()
    assert lab.runs() == before
    assert lab.failure(left)["reason"] == "left by hand"


def test_a_kernel_is_packed_again_apart_where_there_is_memory_and_boots(lab: UpdateLab) -> None:
    version = lab.image(4).manifest.version
    lab.refit(memory_mb=PLENTY_MB)
    lab.update(version)
    assert lab.runs() == version
    made = re.search(r"UKI is installed with its tries: delta payload of (\d+) bytes, made apart", lab.ways(version))
    assert made is not None, lab.ways(version)
    assert int(made[1]) < SMALL_BYTES


def test_a_version_that_is_not_healthy_is_left_with_its_reason_and_stays_left(lab: UpdateLab) -> None:
    before = lab.runs()
    sick = lab.publish(5, SICK)
    assert re.fullmatch(r"not healthy: sick\.service: failed.*", lab.try_in_vain(sick))
    lab.repository.promote(sick)
    for _ in range(3):
        lab.wait_for_check()
    assert lab.runs() == before
    assert lab.status()["state"] == "RolledBack"
    assert "not tried again unless told" in str(lab.status()["node_says"])
