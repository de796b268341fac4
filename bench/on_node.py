"""What an update costs a node: memory and bytes while it is taken, and the pause until the node is Ready again.

One node, without KVM where there is none, takes a version by full payloads, and the next one by deltas.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bedplate.cli.context import report
from bedplate.host.clock import SystemClock, wait_until
from bedplate.host.report import Step
from bedplate.local.pools.nodes import wait_for_nodes
from bedplate.model.errors import OurError
from bedplate.testing.published import Against
from bedplate.testing.updating import NODE, UpdateLab, open_update_lab
from bench.figures import Figure, at_most, told

AGENT = "/system.slice/bedplate-agent.service"
METRICS = f"/api/v1/nodes/{NODE}/proxy/metrics/cadvisor"
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


def measure() -> Sequence[Figure]:
    with tempfile.TemporaryDirectory(prefix="bedplate-bench-") as state, open_update_lab(Path(state)) as lab:
        before = lab.runs()
        full = update(lab, lab.publish(1), "full payloads")
        first, second = lab.image(1), lab.image(2)
        delta = update(lab, lab.repository.publish(second, Against(first.manifest.version, first)), "deltas")
        if lab.runs() in (before, first.manifest.version):
            raise OurError("The node did not become what was measured.", details=lab.runs())
        return (*full, *delta)


def update(lab: UpdateLab, version: str, way: str) -> Sequence[Figure]:
    """Have the node become `version`, and watch it."""
    console, log = len(lab.console()), lab.cluster.folder / "log/releases.log"
    answered = log.stat().st_size
    with report().step(f"Update by {way}") as step:
        lab.home.bedplate("node", "update", NODE, f"--version={version}", "--no-wait")
        most = watch_memory(lab, console, step)
        phases = watch_pause(lab, console, step)
        lab.update(version)
    wire = sent(log.read_bytes()[answered:].decode())
    return (
        at_most(f"agent's memory, by {way}", most / 1e6, "MB", 128),
        at_most(f"bytes on the wire of the payloads' size, {way}", 100 * wire / taken(lab, version), "%", 102),
        told(f"pause from reboot to Ready, after {way}", sum(phases.values()), "s"),
        *(told(f"  of it {name}", seconds, "s") for name, seconds in phases.items()),
    )


def watch_memory(lab: UpdateLab, console: int, step: Step) -> float:
    """The most that the agent had of memory that it cannot give back, in bytes, until it asks for the reboot."""
    seen = [0.0]

    def missing() -> str:
        metrics = lab.home.kubectl("get", "--raw", METRICS)
        seen.extend(resident(metrics))
        step.note(f"{max(seen) / 1e6:.0f} MB")
        return "" if BEGIN in lab.console()[console:] else "the reboot"

    waited(missing, every=1.0)
    return max(seen)


def watch_pause(lab: UpdateLab, console: int, step: Step) -> Mapping[str, float]:
    """The seconds of each phase from the agent's call for the reboot on."""
    clock = SystemClock()
    since, started = clock.now(), clock.monotonic()
    marks = [0.0]
    for phase, words in SEEN.items():
        step.note(phase)
        waited(lambda words=words: "" if words in lab.console()[console:] else words, every=POLL_SECONDS)
        marks.append(clock.monotonic() - started)
    step.note("join")
    with lab.cluster.api() as api:
        wait_for_nodes(api, {NODE: since}, clock, seconds=LIMIT, tell=lambda _: None)
    marks.append(clock.monotonic() - started)
    return {name: after - before for name, before, after in zip((*SEEN, "join"), marks, marks[1:], strict=False)}


def waited(missing: Callable[[], str], *, every: float) -> None:
    left = wait_until(missing, SystemClock(), seconds=LIMIT, every=every).missing
    if left:
        raise OurError("A node did not update.", details=f"Within {LIMIT:g} s it did not come to {left!r}.")


def resident(metrics: str) -> Sequence[float]:
    """Bytes of the agent that are backed by no file, from cAdvisor's metrics."""
    found = re.findall(rf'^container_memory_rss\{{[^}}]*\bid="{AGENT}"[^}}]*\}} (\S+)', metrics, re.MULTILINE)
    return [float(each) for each in found]


def sent(log: str) -> int:
    """Bytes of bodies that a server of releases sent, by its log."""
    return sum(int(found["sent"]) for found in ANSWER.finditer(log))


def taken(lab: UpdateLab, version: str) -> int:
    """The size of the payloads by which the node took `version`, by its history."""
    return sum(int(size) for size in re.findall(r"payload of (\d+) bytes", lab.ways(version)))
