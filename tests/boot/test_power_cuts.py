"""Whenever the power goes during an update, the node comes back in a version that works, and goes on."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from bedplate.host.clock import SystemClock
from bedplate.host.run import SystemRunner
from bedplate.image.build import Image
from bedplate.local.pools.reconcile import provider
from bedplate.model.machines import MachineState
from bedplate.testing.updating import NODE, UpdateLab, open_update_lab

pytestmark = pytest.mark.vm

CUTS = 20
LONGEST = 60.0
"""Seconds from Ready to the cut, at most: nearly what taking a version and asking for the reboot takes."""
SEED = 5


@pytest.fixture(scope="module")
def lab(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpdateLab]:
    del image  # what is built of it is built before its keys are taken
    with open_update_lab(tmp_path_factory.mktemp("state")) as opened:
        yield opened


def test_a_node_comes_back_from_power_cuts_at_random_instants_of_updates(lab: UpdateLab) -> None:
    versions = [lab.runs(), lab.publish(1)]
    chance, clock, seen = random.Random(SEED), SystemClock(), set()
    for _ in range(CUTS):
        if not lab.status()["target"]:
            (wanted,) = {*versions} - {lab.runs()}
            lab.home.bedplate("node", "update", NODE, f"--version={wanted}", "--no-wait")
        clock.sleep(chance.uniform(0, LONGEST))
        seen.add(lab.status()["state"])
        boot = lab.boot_id()
        lab.cut_power()
        lab.wait(lambda: "" if power_of(lab) is MachineState.STOPPED else "the machine is not off yet")
        lab.switch_on()
        lab.wait_for_next_boot(after=boot)
        assert lab.runs() in versions
    assert seen & {"Writing"}, f"no cut came while it was at work, but in {seen}"
    (wanted,) = {*versions} - {lab.runs()}
    lab.update(wanted)
    assert lab.runs() == wanted


def power_of(lab: UpdateLab) -> MachineState:
    (machine,) = provider(lab.cluster, SystemRunner()).list()
    return machine.state
