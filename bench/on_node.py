"""What an update costs a node: memory and bytes while it is taken, and the pause until the node is Ready again.

One node, without KVM where there is none, takes a version by full payloads, and the next one by deltas.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bedplate.cli.context import report
from bedplate.host.clock import SystemClock, wait_until
from bedplate.host.report import Step
from bedplate.local.pools.nodes import wait_for_nodes
from bedplate.model.errors import OurError
from bedplate.testing.published import Against
from bedplate.testing.updating import NODE, UpdateLab, open_update_lab
from bench.figures import Figure, at_most, told

CONTROL_GROUP = "/host/sys/fs/cgroup/system.slice/bedplate-agent.service"
LIMIT = 900.0
POLL_SECONDS = 0.1
BEGIN = "Rebooting: "
SEEN: Mapping[str, str] = {
    "shutdown": "reboot: Restarting system",
    "firmware": "BdsDxe: starting Boot",
    "loader and kernel": "Booting initrd of",
    "initrd": "Welcome to",
    "userspace": "Started kubelet.service",
}
"""Up to which line of the console each phase of the pause goes; `join` goes from the last one to Ready."""
ANSWER = re.compile(r'"GET (?P<path>\S+) \S+" \d+ (?P<sent>\d+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Taken:
    """An update as it was seen: `memory`, `wire` and `payloads` in bytes, `phases` of the pause in seconds."""

    memory: int
    wire: int
    payloads: int
    phases: Mapping[str, float]


def measure() -> Sequence[Figure]:
    with tempfile.TemporaryDirectory(prefix="bedplate-bench-") as state, open_update_lab(Path(state)) as lab:
        full = update(lab, lab.publish(1), "full payloads")
        first, second = lab.image(1), lab.image(2)
        against = Against(first.manifest.version, first, kernel=True)
        delta = update(lab, lab.repository.publish(second, against), "deltas")
    # These deltas are of two images that differ in their version alone: a share of their size would say nothing.
    share = at_most("bytes on the wire of the payloads' size, in full", 100 * full.wire / full.payloads, "%", 102)
    return (share, *figures(full, "full payloads"), *figures(delta, "deltas"))


def figures(taken: Taken, way: str) -> Iterator[Figure]:
    yield told(f"bytes on the wire beyond the payloads, by {way}", (taken.wire - taken.payloads) / 1e3, "kB")
    yield at_most(f"agent's memory, by {way}", taken.memory / 1e6, "MB", 128)
    yield told(f"pause from reboot to Ready, after {way}", sum(taken.phases.values()), "s")
    for name, seconds in taken.phases.items():
        yield told(f"  of it {name}", seconds, "s")


def update(lab: UpdateLab, version: str, way: str) -> Taken:
    """Have the node become `version`, and watch it."""
    console, log, boot = len(lab.console()), lab.cluster.folder / "log/releases.log", lab.boot_id()
    answered = log.stat().st_size
    with report().step(f"Update by {way}") as step:
        lab.home.bedplate("node", "update", NODE, f"--version={version}", "--no-wait")
        most = watch_memory(lab, console, step)
        phases = watch_pause(lab, console, boot, step)
        if lab.boot_id() == boot:
            raise OurError("The node was counted Ready before it was off.")
        lab.update(version)
    if lab.runs() != version:
        raise OurError("The node did not become what was measured.", details=lab.runs())
    return Taken(most, sent(log.read_bytes()[answered:].decode()), payload_bytes(lab, version), phases)


def watch_memory(lab: UpdateLab, console: int, step: Step) -> int:
    """The most that the agent was seen to have, in bytes, until it asks for the reboot."""
    seen: list[int] = []

    def missing() -> str:
        if BEGIN in lab.console()[console:]:
            return ""
        now = held(lab.look("mounttest", f"--file_content={CONTROL_GROUP}/memory.stat"))
        if now is not None:
            seen.append(now)
            step.note(f"{max(seen) / 1e6:.0f} MB")
        return "the reboot"

    waited(missing)
    if not seen:
        raise OurError("The node had taken the version before anyone could look at its memory.")
    return max(seen)


def held(statistics: str) -> int | None:
    """Bytes of a control group that the kernel cannot take back, by its memory.stat (Linux, cgroup-v2.rst), whose first
    line the test program begins with words of its own.

    None where there was no such file: a node that reboots has ended its agent.
    """
    found = dict(re.findall(r"(?:^|: )(anon|kernel|slab_reclaimable) (\d+)$", statistics, re.MULTILINE))
    if not found:
        return None
    return int(found["anon"]) + int(found["kernel"]) - int(found["slab_reclaimable"])


def watch_pause(lab: UpdateLab, console: int, boot: str, step: Step) -> Mapping[str, float]:
    """The seconds of each phase from the agent's call for the reboot on, until the node is Ready in another `boot`."""
    clock = SystemClock()
    started = clock.monotonic()
    marks = [0.0]
    for phase, words in SEEN.items():
        step.note(phase)
        waited(partial(lacks, lab, console, words), every=POLL_SECONDS)
        marks.append(clock.monotonic() - started)
    step.note("join")
    with lab.cluster.api() as api:
        wait_for_nodes(api, {NODE: boot}, clock, seconds=LIMIT, tell=lambda _: None)
    marks.append(clock.monotonic() - started)
    return {name: after - before for name, before, after in zip((*SEEN, "join"), marks, marks[1:], strict=False)}


def lacks(lab: UpdateLab, console: int, words: str) -> str:
    """`words`, unless the console has them after `console` characters."""
    return "" if words in lab.console()[console:] else words


def waited(missing: Callable[[], str], *, every: float = 1.0) -> None:
    left = wait_until(missing, SystemClock(), seconds=LIMIT, every=every).missing
    if left:
        raise OurError("A node did not update.", details=f"Within {LIMIT:g} s it did not come to {left!r}.")


def sent(log: str) -> int:
    """Bytes of bodies that a server of releases sent, by its log."""
    return sum(int(found["sent"]) for found in ANSWER.finditer(log))


def payload_bytes(lab: UpdateLab, version: str) -> int:
    """The size of the payloads by which the node took `version`, by its history."""
    return sum(int(size) for size in re.findall(r"payload of (\d+) bytes", lab.ways(version)))
