"""`./dev bench update`: what an update sends and takes, beside what the usual tools make of the same images.

The first run builds four older images, and a kubelet and a containerd for two of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bedplate.cli.context import places, report
from bedplate.cli.release_payloads import AT_ONCE
from bedplate.host.run import SystemRunner
from bench import on_node
from bench.cost import NOTHING, Cost
from bench.deltas import OURS, OURS_AGAIN, Hop, Way, into_slot, own, smallest_of_others, table
from bench.figures import Figure, at_most, told
from bench.pairs import KERNEL, Series, have_series

MOST = {(KERNEL, OURS): 13.0, (KERNEL, OURS_AGAIN): 5.0}
"""MB of a whole release; the second is for nodes with memory enough to pack the kernel again."""


def measure() -> Sequence[Figure]:
    on_a_node = on_node.measure()  # first, since it takes minutes, and all that comes after it most of an hour
    series = have_series()
    cache = places().cache / "bench"
    with tempfile.TemporaryDirectory(dir=cache, prefix=".run.") as scratch:
        made = [*_of_hops(series, cache, Path(scratch)), *_of_release(series, Path(scratch))]
    return [*made, *on_a_node]


def _of_hops(series: Series, cache: Path, scratch: Path) -> Iterator[Figure]:
    for name, old in series.pairs.items():
        hop = Hop(name, old, series.new, cache, scratch / name.replace(" ", "-"), SystemRunner())
        ways = list(hop.ways())
        yield from table(name, ways)
        yield from judged(name, ways)
        yield from _slot(name, into_slot(hop))


def judged(hop: str, ways: Sequence[Way]) -> Iterator[Figure]:
    """What is asked of our own: the size of a whole release, and that each of the others sends more."""
    least = smallest_of_others(ways)
    for way in (way for way in ways if way.ours):
        name, size = f"{hop}, {way.name}", way.whole.size
        most = MOST.get((hop, way.name))
        yield at_most(name, size / 1e6, "MB", most) if most else told(name, size / 1e6, "MB")
        yield at_most(f"  of the smallest other, {least.name}", 100 * size / least.whole.size, "%", 100)


def _slot(hop: str, cost: Cost) -> Iterator[Figure]:
    yield at_most(f"{hop}, /usr from a delta into the slot, one core", cost.cpu, "CPU s", 20)
    yield told("  memory", cost.memory / 1e6, "MB")


def _of_release(series: Series, scratch: Path) -> Iterator[Figure]:
    """All deltas of a release; full payloads are there before."""
    cache, folder = scratch / "payloads", scratch / "release"
    folder.mkdir()
    runner, older, whole, most = SystemRunner(), [image.folder for image in series.older], NOTHING, 0
    for part, at_once in AT_ONCE.items():
        with report().step(f"Full payload of {part}"):
            own(runner, "payloads", Path(part), cache, folder, series.new.folder)
        with report().step(f"Deltas of {part} against the last {len(older)}"):
            cost = own(runner, "payloads", Path(part), cache, folder, series.new.folder, *older)
        whole, most = whole + cost, max(most, at_once * cost.memory)
    yield at_most(f"all deltas against the last {len(older)} releases", whole.wall / 60, "min", 10)
    yield told("  processor", whole.cpu / 60, "CPU min")
    yield at_most("  memory, at most", most / 1e9, "GB", 3)
