"""`./dev bench boot`: from power-on to Ready, where the time goes, and what a node at rest keeps in memory.

How long the tour takes is measured as well.
What `./dev up` does before the first machine starts is measured too: preflight, plan, control plane.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bedplate.cli.components import CHECKOUT
from bedplate.cli.context import places, report
from bedplate.cli.planning import plan_up
from bedplate.host.clock import Clock, SystemClock, wait_until
from bedplate.host.run import Runner, SystemRunner
from bedplate.local.cluster import Cluster, open_cluster
from bedplate.local.machines.kvm import choose_acceleration
from bedplate.local.pools.nodes import boots_of, wait_for_nodes
from bedplate.local.pools.reconcile import provider
from bedplate.model.errors import OurError
from bedplate.model.machines import Power
from bedplate.testing.home import free_port
from bench.figures import Figure, at_most, median, told

BOOTS = 3
NODE = "system-1"
LIMIT = 300.0
REST_SECONDS = 30.0
SERVICES = ("containerd.service", "kubelet.service")
"""Those that the kubelet names in its metrics (`--runtime-cgroups`, and its own)."""
SEEN: Mapping[str, str] = {
    "firmware": "BdsDxe: starting Boot",
    "loader and kernel": "Booting initrd of",
    "initrd": "Welcome to",
    "userspace": "Started kubelet.service",
}
"""Up to which line of the console each phase goes; `join` goes from the last one to Ready."""


def measure() -> Sequence[Figure]:
    with two_nodes() as (cluster, up):
        tour = tour_seconds(cluster, SystemRunner())
        boots = [boot(cluster, SystemRunner(), SystemClock()) for _ in range(BOOTS)]
        total = median([sum(phases.values()) for phases in boots])
        phases = [told(f"  of it {name}", median([each[name] for each in boots]), "s") for name in boots[0]]
        return (
            at_most("power-on to Ready, one node", total, "s", 90),
            *phases,
            at_most("./dev up, two nodes, caches warm", up.seconds, "s", 300),
            at_most("  of it preflight", step_seconds(up.progress, "Preflight"), "s", 5),
            at_most("  of it the plan", up.plan, "s", 3),
            at_most("  of it the control plane", step_seconds(up.progress, "Control plane"), "s", 10),
            at_most("./dev tour", tour, "s", 360),
            *memory(cluster, SystemRunner(), SystemClock()),
        )


def tour_seconds(cluster: Cluster, runner: Runner) -> float:
    """How long the tour takes. What it leaves is removed."""
    state = cluster.folder.parents[2]
    with report().step("Take the tour"):
        done = runner.run([sys.executable, "-m", "bedplate.cli", "tour"], env={"XDG_STATE_HOME": str(state)})
    cluster.kubectl(runner).run("delete", "deployment/web", "service/web", "--timeout=120s", seconds=150)
    return done.seconds


@dataclass(frozen=True)
class Up:
    """One `./dev up`: how long it took, what it said meanwhile, and how long making its plan takes."""

    seconds: float
    progress: str
    plan: float


@contextmanager
def two_nodes() -> Iterator[tuple[Cluster, Up]]:
    """A cluster as `./dev up` makes it, in a state folder of its own."""
    runner, clock = SystemRunner(), SystemClock()
    with tempfile.TemporaryDirectory(prefix="bedplate-bench-") as state:
        command = [sys.executable, "-m", "bedplate.cli", "cluster"]
        env = {"XDG_STATE_HOME": state}
        keys = places().state / "keys"
        if keys.exists():
            shutil.copytree(keys, Path(state) / "bedplate/keys")
        try:
            with report().step("Bring up two nodes"):
                plan = _plan_seconds(Path(state), clock)
                ports = (f"--api-port={free_port()}", f"--registry-port={free_port()}")
                done = runner.run([*command, "up", *ports], env=env)
            up = Up(done.seconds, done.stderr.decode(), plan)
            yield open_cluster(Path(state) / "bedplate/clusters/local", clock), up
        finally:
            runner.run([*command, "down", "--all"], env=env)


def _plan_seconds(state: Path, clock: Clock) -> float:
    """How long it takes to find out what is to be done."""
    acceleration = choose_acceleration(SystemRunner())
    started = clock.monotonic()
    plan_up(CHECKOUT, state / "bedplate/clusters/local", nodes=2, acceleration=acceleration)
    return clock.monotonic() - started


def step_seconds(progress: str, name: str) -> float:
    """How long the step of that name took, by what a command said on standard error. Raises `OurError` without one."""
    found = re.search(rf"^done +([0-9.]+) s  {re.escape(name)}(?:  \(|$)", progress, re.MULTILINE)
    if found is None:
        raise OurError(f"`up` did not say how long the step {name} took.", details=progress)
    return float(found[1])


def boot(cluster: Cluster, runner: Runner, clock: Clock) -> Mapping[str, float]:
    """Switch one machine off and on again while the other is off; the seconds of each phase."""
    machines = provider(cluster, runner)
    for machine in machines.list():
        machines.power(machine.name, Power.OFF)
    console = machines.console(NODE)
    offset = console.stat().st_size
    with report().step("Boot one node"), cluster.api() as api:
        before, started = boots_of(api, [NODE]), clock.monotonic()
        machines.power(NODE, Power.ON)
        marks = [_when(console, offset, words, clock) - started for words in SEEN.values()]
        wait_for_nodes(api, before, clock, seconds=LIMIT, tell=lambda _: None)
        marks.append(clock.monotonic() - started)
    names = (*SEEN, "join")
    return {name: after - earlier for name, earlier, after in zip(names, [0.0, *marks], marks, strict=False)}


def _when(console: Path, offset: int, words: str, clock: Clock) -> float:
    """The moment at which the console has said `words`, beyond `offset`."""
    pattern = re.compile(words)

    def missing() -> str:
        said = console.read_bytes()[offset:].decode(errors="replace")
        return "" if pattern.search(said) else f"{words!r} on the console"

    waited = wait_until(missing, clock, seconds=LIMIT, every=0.05)
    if waited.missing:
        raise OurError("A machine did not boot.", details=f"There was no {waited.missing} within {LIMIT:g} s.")
    return clock.monotonic()


def memory(cluster: Cluster, runner: Runner, clock: Clock) -> Sequence[Figure]:
    """What a node without pods needs, by service, from the kubelet's own metrics; 1 MB is 1,000,000 bytes."""
    kubectl = cluster.kubectl(runner)
    kubectl.run("-n=kube-system", "delete", "daemonset/kube-proxy", "deployment/coredns", "--timeout=120s", seconds=150)
    with report().step("Let the node rest"):
        clock.sleep(REST_SECONDS)
    text = kubectl.run("get", "--raw", f"/api/v1/nodes/{NODE}/proxy/metrics/cadvisor")
    used = working_sets(text)
    services = {name: used[f"/system.slice/{name}"] for name in SERVICES}
    named = [told(f"  of it {name}", size / 1e6, "MB") for name, size in services.items()]
    rest = (used["/"] - sum(services.values())) / 1e6
    return (
        at_most("memory of a node without pods", used["/"] / 1e6, "MB", 400),
        *named,
        told("  of it kernel and the other services", rest, "MB"),
    )


def working_sets(metrics: str) -> Mapping[str, float]:
    """Bytes in use by cgroup, page cache that could go not counted, from cAdvisor's metrics."""
    pattern = re.compile(r'^container_memory_working_set_bytes\{[^}]*\bid="([^"]*)"[^}]*\} (\S+)', re.MULTILINE)
    return {name: float(value) for name, value in pattern.findall(metrics)}
