"""The usual tools that deltas are put beside, and what each makes of the same two files."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bedplate.host.files import file_sha256, write_atomically
from bedplate.host.run import Runner
from bedplate.model.digests import sha256_of_parts
from bedplate.model.errors import MachineError
from bench.cost import Cost, cost_of


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool by the commands that make and apply a delta, in words apart by blanks.

    `{old}`, `{new}` and `{out}` are files; what is sent lies in the folder `{work}`. `prepare` makes there what a
    node has already; only what `make` adds is counted as sent.
    """

    name: str
    package: str
    make: str
    apply: str
    prepare: str = ""


PEERS = (
    Peer(
        "xdelta3",
        "xdelta3",
        make="xdelta3 -q -e -9 -S lzma -B 536870912 -W 16777216 -s {old} {new} {work}/delta",
        apply="xdelta3 -q -d -B 536870912 -s {old} {work}/delta {out}",
    ),
    Peer("bsdiff", "bsdiff", make="bsdiff {old} {new} {work}/delta", apply="bspatch {old} {out} {work}/delta"),
    Peer(
        "zstd --patch-from",
        "zstd",
        make="zstd --quiet -19 --long=30 --single-thread --zstd=targetLength=4096"
        " --patch-from={old} {new} -o {work}/delta",
        apply="zstd --quiet -d --long=30 --patch-from={old} {work}/delta -o {out}",
    ),
    Peer(
        "casync",
        "casync",
        prepare="casync make --chunk-size=16384 --compression=xz --store={work}/store {work}/old.caibx {old}",
        make="casync make --chunk-size=16384 --compression=xz --store={work}/store {work}/new.caibx {new}",
        apply="casync extract --store={work}/store --seed={old} {work}/new.caibx {out}",
    ),
)
"""Each by the options that send least, as far as they were tried: windows as large as the files, best levels."""


class Outcome(msgspec.Struct, frozen=True):
    """One delta: its bytes, and what making and applying it takes."""

    size: int
    make: Cost
    apply: Cost

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.size + other.size, self.make + other.make, self.apply + other.apply)


def have_outcome(peer: Peer, old: Path, new: Path, cache: Path, runner: Runner) -> Outcome:
    """What the peer makes of the files: measured once for the same bytes, commands and version, and kept in `cache`."""
    kept = cache / f"{peer_key(peer, old, new, runner)}.json"
    if not kept.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".work.") as work:
            write_atomically(kept, msgspec.json.encode(outcome(peer, old, new, Path(work), runner)))
    return msgspec.json.decode(kept.read_bytes(), type=Outcome)


def peer_key(peer: Peer, old: Path, new: Path, runner: Runner) -> str:
    """A digest of everything that the outcome is a function of."""
    version = runner.run(["dpkg-query", "--show", "--showformat=${Version}", peer.package]).text
    commands = {"prepare": peer.prepare, "make": peer.make, "apply": peer.apply, "version": version}
    files = {"old": file_sha256(old), "new": file_sha256(new)}
    return sha256_of_parts({**commands, **files}.items())[:32]


def outcome(peer: Peer, old: Path, new: Path, scratch: Path, runner: Runner) -> Outcome:
    """Make the delta in the empty folder `scratch`, and apply it. Raises `MachineError` when that gives other bytes."""
    work, out = scratch / "work", scratch / "out"
    work.mkdir()
    places = {"old": str(old), "new": str(new), "work": str(work), "out": str(out)}
    if peer.prepare:
        runner.run(_words(peer.prepare, places))
    there = _bytes(work)
    make = cost_of(_words(peer.make, places), runner)
    size = _bytes(work) - there
    apply = cost_of(_words(peer.apply, places), runner)
    if file_sha256(out) != file_sha256(new):
        raise MachineError(f"{peer.name} did not make the same file of its own delta.", details=f"{old} -> {new}")
    return Outcome(size, make, apply)


def _words(command: str, places: Mapping[str, str]) -> list[str]:
    return [word.format(**places) for word in command.split()]


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
