"""One table for a pair of images: what each way of updating sends, and what making and applying that takes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bedplate.cli.context import report
from bedplate.host.files import file_sha256, write_atomically
from bedplate.host.run import Runner
from bedplate.image.build import Image
from bedplate.model.errors import MachineError
from bedplate.release.payload.parts import describe_part
from bench.cost import Cost, cost_of
from bench.figures import Figure
from bench.layouts import have_compressed
from bench.own import UKI, USR
from bench.peers import PEERS, Outcome, Peer, have_outcome
from bench.tables import entry

OURS, OURS_AGAIN = "Bedplate, kernel whole", "Bedplate, kernel packed again"
COMPRESSED = "{}, of erofs with zstd"


@dataclass(frozen=True, slots=True)
class Way:
    """One way from the old release to the new one, by what is sent for each part."""

    name: str
    usr: Outcome
    uki: Outcome

    @property
    def whole(self) -> Outcome:
        return self.usr + self.uki

    @property
    def ours(self) -> bool:
        return self.name in {OURS, OURS_AGAIN}


@dataclass(frozen=True, slots=True)
class Hop:
    """A pair of images. `cache` keeps what the other tools made of it, the folder `scratch` gets our own deltas."""

    name: str
    old: Image
    new: Image
    cache: Path
    scratch: Path
    runner: Runner

    def ways(self) -> Iterator[Way]:
        """Ours first; the kernel is only packed again where it changes."""
        usr = self._ours("usr", USR)
        yield Way(OURS, usr, self._ours("uki", UKI))
        if self.old.manifest.kernel != self.new.manifest.kernel:
            yield Way(OURS_AGAIN, usr, self._ours("uki-packed-again", UKI))
        files = {"{}": (self.old.folder / USR, self.new.folder / USR), COMPRESSED: self._compressed()}
        for peer in PEERS:
            with report().step(f"{self.name}: UKI by {peer.name}"):
                uki = self._theirs(peer, self.old.folder / UKI, self.new.folder / UKI)
            for name, pair in files.items():
                way = name.format(peer.name)
                with report().step(f"{self.name}: /usr by {way}"):
                    yield Way(way, self._theirs(peer, *pair), uki)

    def _ours(self, verb: str, part: str) -> Outcome:
        """Made and applied anew at each run, since it is what changes."""
        with report().step(f"{self.name}: {verb} by Bedplate"):
            return own_outcome(verb, part, self.old.folder, self.new.folder, self.scratch, self.runner)

    def _theirs(self, peer: Peer, old: Path, new: Path) -> Outcome:
        return have_outcome(peer, old, new, self.cache / "peers", self.runner)

    def _compressed(self) -> tuple[Path, Path]:
        with report().step(f"{self.name}: /usr compressed"):
            cache = self.cache / "layouts"
            cache.mkdir(parents=True, exist_ok=True)
            return have_compressed(self.old, cache, self.runner), have_compressed(self.new, cache, self.runner)


def own_outcome(verb: str, part: str, old: Path, new: Path, scratch: Path, runner: Runner) -> Outcome:
    """Our own delta of a part, in `scratch` under the name of `verb`. Making it includes that it is tried once."""
    scratch.mkdir(exist_ok=True)
    delta, out = scratch / f"{verb}.delta", scratch / "out"
    make = own(runner, f"make-{verb}", old, new, delta)
    beside = [new / USR] if part == UKI else []
    apply = own(runner, "apply", delta, old / part, described(new / part, scratch), out, *beside)
    if file_sha256(out) != file_sha256(new / part):
        raise MachineError("A delta of ours did not make the same file.", details=f"{verb}: {old} -> {new}")
    return Outcome(delta.stat().st_size, make, apply)


def described(part: Path, scratch: Path) -> Path:
    """A file that says what the part has to be."""
    target = scratch / f"{part.name}.json"
    write_atomically(target, msgspec.json.encode(describe_part(part)))
    return target


def own(runner: Runner, verb: str, *files: Path) -> Cost:
    return cost_of([sys.executable, "-m", "bench.own", verb, *files], runner, cwd=Path(__file__).parents[1])


def into_slot(hop: Hop) -> Cost:
    """What a node does for /usr with the delta that `ways` made."""
    old, new, scratch = hop.old.folder, hop.new.folder, hop.scratch
    with report().step(f"{hop.name}: /usr into a slot"):
        files = (scratch / "usr.delta", old, new, described(new / USR, scratch), scratch / "slot")
        return own(hop.runner, "into-slot", *files)


def smallest_of_others(ways: Sequence[Way]) -> Way:
    return min((way for way in ways if not way.ours), key=lambda way: way.whole.size)


def table(hop: str, ways: Sequence[Way]) -> Sequence[Figure]:
    """Every cell of the hop's table as a figure."""
    return [entry(hop, way.name, column, value, unit) for way in ways for column, (value, unit) in cells(way).items()]


def cells(way: Way) -> Mapping[str, tuple[float, str]]:
    whole = way.whole
    return {
        "/usr": (way.usr.size / 1e6, "MB"),
        "UKI": (way.uki.size / 1e6, "MB"),
        "whole": (whole.size / 1e6, "MB"),
        "make": (whole.make.cpu, "CPU s"),
        "make, memory": (whole.make.memory / 1e6, "MB"),
        "apply": (whole.apply.cpu, "CPU s"),
        "apply, memory": (whole.apply.memory / 1e6, "MB"),
    }
