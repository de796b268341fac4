"""Whenever the power goes during an update, the node comes back in a version that works, and goes on."""

from __future__ import annotations

import random

import pytest

from bedplate.host.clock import SystemClock
from bedplate.host.run import SystemRunner
from bedplate.local.pools.reconcile import provider
from bedplate.model.machines import MachineState
from bedplate.testing.updating import NODE, UpdateLab

pytestmark = pytest.mark.vm

CUTS = 20
LONGEST = 60.0
"""Seconds from Ready to the cut, at most: nearly what taking a version and asking for the reboot takes."""
SEED = 5


def test_a_node_comes_back_from_power_cuts_at_random_instants_of_updates(update_lab: UpdateLab) -> None:
    versions = [update_lab.runs(), update_lab.publish(1)]
    chance, clock, seen = random.Random(SEED), SystemClock(), set()
    for _ in range(CUTS):
        if not update_lab.status()["target"]:
            (wanted,) = {*versions} - {update_lab.runs()}
            update_lab.home.bedplate("node", "update", NODE, f"--version={wanted}", "--no-wait")
        clock.sleep(chance.uniform(0, LONGEST))
        seen.add(update_lab.status()["state"])
        boot = update_lab.boot_id()
        update_lab.cut_power()
        update_lab.wait(lambda: "" if power_of(update_lab) is MachineState.STOPPED else "the machine is not off yet")
        update_lab.switch_on()
        update_lab.wait_for_next_boot(after=boot)
        assert update_lab.runs() in versions
    assert seen & {"Writing"}, f"no cut came while it was at work, but in {seen}"
    (wanted,) = {*versions} - {update_lab.runs()}
    update_lab.update(wanted)
    assert update_lab.runs() == wanted


def power_of(update_lab: UpdateLab) -> MachineState:
    (machine,) = provider(update_lab.cluster, SystemRunner()).list()
    return machine.state
