"""bedplate-agent: what runs on the node. Each of its duties is a unit of its own, and loads only what it needs."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bedplate.host.clock import Clock, SystemClock
from bedplate.host.peers import SystemPeers
from bedplate.host.run import Runner, SystemRunner
from bedplate.model.errors import BedplateError

if TYPE_CHECKING:  # the report has no use for what touches disks
    from bedplate.host.disks import Disks

ROOT = Path("/")


def main(arguments: Sequence[str]) -> int:
    """Carry out the duty that the one argument names; the exit code is 2 when it is none."""
    duty = DUTIES.get(arguments[0]) if len(arguments) == 1 else None
    if duty is None:
        sys.stderr.write(f"usage: bedplate-agent {'|'.join(DUTIES)}\n")
        return 2
    try:
        return duty()
    except BedplateError as problem:
        sys.stderr.write(f"{problem}\n")
        return problem.exit_code


def report() -> int:
    """Tell on the console why the node does not join."""
    from bedplate.host.links import SystemLinks  # noqa: PLC0415 — see above
    from bedplate.node.report.gather import Node  # noqa: PLC0415
    from bedplate.node.report.watch import watch  # noqa: PLC0415

    clock = SystemClock()
    node = Node(host_name(), SystemLinks(), SystemPeers(), SystemRunner(), clock)
    watch(node.gather, say, clock)
    return 0


def health() -> int:
    """Judge the version that runs; the boot loader learns the verdict from whether this ends well."""
    from bedplate.host.disks import SystemDisks  # noqa: PLC0415
    from bedplate.host.machine import SystemMachine  # noqa: PLC0415
    from bedplate.node.apiserver import OwnNode  # noqa: PLC0415
    from bedplate.node.health.gate import Gate  # noqa: PLC0415
    from bedplate.node.health.gather import Doctor  # noqa: PLC0415
    from bedplate.node.settings import read_or_default  # noqa: PLC0415
    from bedplate.node.slots.rules import root_hash_of  # noqa: PLC0415
    from bedplate.node.slots.slots import Slots  # noqa: PLC0415

    settings, unsettled = read_or_default(ROOT, credentials())
    peers, runner, wanted = SystemPeers(), SystemRunner(), settings.health
    doctor = Doctor(OwnNode(host_name(), peers), peers, runner, SystemMachine(), wanted.probes, unsettled)
    root_hash = root_hash_of((ROOT / "proc/cmdline").read_text())
    slots = Slots(SystemDisks(runner, mount=mount_point()), root_hash=root_hash)
    return Gate(doctor.gather, say, slots, runner, SystemClock(), wanted.seconds).run()


def update() -> int:
    """Make this node what it is told to become."""
    from bedplate.host.disks import SystemDisks  # noqa: PLC0415

    runner = SystemRunner()
    return update_with(SystemDisks(runner, mount=mount_point()), runner, SystemClock())


def update_with(disks: Disks, runner: Runner, clock: Clock, root: Path = ROOT) -> int:
    """The same for the node whose files begin at `root`, with its disk, its programs and its time."""
    from bedplate.host.machine import SystemMachine  # noqa: PLC0415
    from bedplate.host.media import SystemMedia  # noqa: PLC0415
    from bedplate.node.settings import read_settings, release_root  # noqa: PLC0415
    from bedplate.node.update.main import World, run_agent  # noqa: PLC0415

    settings, trust = read_settings(root, credentials()), release_root(root, credentials())
    for key in settings.unknown:
        say(f"The setting {key} is not known to this version, and passed over.")
    world = World(host_name(), disks, SystemPeers(), runner, SystemMachine(), clock, say, SystemMedia(root), root)
    run_agent(world, settings, trust=trust, credentials=credentials())
    return 0


def repack() -> int:
    """Make the part that the agent has laid out for it."""
    from bedplate.node.repack.job import FOLDER  # noqa: PLC0415
    from bedplate.node.repack.make import make  # noqa: PLC0415

    make(ROOT / FOLDER)
    return 0


def credentials() -> Path | None:
    """Where systemd lays the unit's credentials."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder) if folder else None


def mount_point() -> Path:
    """Where the ESP is mounted: in the folder that systemd makes for the unit."""
    return Path(os.environ.get("RUNTIME_DIRECTORY", "/run/bedplate")) / "esp"


def host_name() -> str:
    """As the kubelet makes the node's name of it."""
    return socket.gethostname().lower()


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


DUTIES: Mapping[str, Callable[[], int]] = {"report": report, "health": health, "update": update, "repack": repack}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
