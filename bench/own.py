"""Our own deltas as a program, so that they are measured as the others are: `python -m bench.own VERB FILES`."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path

import msgspec

from bedplate.cli.context import report
from bedplate.cli.release_image import PARTS
from bedplate.cli.release_payloads import Older, PayloadMaker
from bedplate.host.devices import SystemDevice
from bedplate.image.manifest import read_manifest
from bedplate.image.verity import verity_of
from bedplate.model.errors import OurError
from bedplate.node.slots.verity import make_tree
from bedplate.node.slots.writer import write_chunks
from bedplate.release.payload.apply import rebuild_delta
from bedplate.release.payload.make import Base, make_uki_delta, make_usr_delta
from bedplate.wire.release import Part, PartName

USR, UKI = PARTS[PartName.USR], PARTS[PartName.UKI]
MADE_OF = "Bedplate-1.37-amd64-202601.01.0"
"""What the older version is called in the payloads: nobody reads them."""


def main(arguments: Sequence[str]) -> int:
    verb, *files = arguments
    VERBS[verb](*(Path(file) for file in files))
    return 0


def make_usr(old: Path, new: Path, delta: Path) -> None:
    make_usr_delta(Base(MADE_OF, old / USR), new / USR, delta, path="")


def make_uki(old: Path, new: Path, delta: Path) -> None:
    make_uki_delta(Base(MADE_OF, old / UKI), new / UKI, new / USR, delta, path="", kernel=False)


def make_uki_packed_again(old: Path, new: Path, delta: Path) -> None:
    make_uki_delta(Base(MADE_OF, old / UKI), new / UKI, new / USR, delta, path="", kernel=True)


def apply(delta: Path, old: Path, part: Path, out: Path, *beside: Path) -> None:
    """Rebuild the part that the JSON file `part` describes; `beside` is the new /usr, for a UKI."""
    one_core()
    with ExitStack() as stack:
        base, *others = [stack.enter_context(device(path)) for path in (old, *beside)]
        data, sink = stack.enter_context(delta.open("rb")), stack.enter_context(out.open("wb"))
        sink.writelines(rebuild_delta(data, base, read_part(part), beside=others[0] if others else None))


def into_slot(delta: Path, old: Path, new: Path, part: Path, slot: Path) -> None:
    """All that a node does for /usr: rebuild it of the slot that runs, write, read back, and make the hash tree."""
    one_core()
    described, verity = read_part(part), verity_of(new)
    with slot.open("wb") as sink:
        sink.truncate(described.size)
    with delta.open("rb") as data, device(old / USR) as base, device(slot) as target:
        write_chunks(described, rebuild_delta(data, base, described), target, first=0)
        salt, identity = bytes.fromhex(verity.salt), uuid.UUID(verity.uuid)
        if make_tree(target, described.size, salt=salt, identity=identity).root_hash != verity.root_hash:
            raise OurError("The hash tree of the slot is not the one that was signed.")


def one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def read_part(path: Path) -> Part:
    return msgspec.json.decode(path.read_bytes(), type=Part)


def device(path: Path) -> AbstractContextManager[SystemDevice]:
    """A file in the place of a slot."""
    return closing(SystemDevice(path))


def payloads(cache: Path, folder: Path, new: Path, *older: Path) -> None:
    """Make the payloads of a release as `bedplate release publish` does; `cache` keeps them, `folder` gets them."""
    version = read_manifest(new).version
    before = [Older(read_manifest(each).version, parts_of(each)) for each in older]
    with report().step("Payloads") as step:
        maker = PayloadMaker(cache, new / USR, before, step)
        for name, source in parts_of(new).items():
            maker.payloads(name, source, folder, version)


def parts_of(image: Path) -> Mapping[PartName, Path]:
    return {name: image / file for name, file in PARTS.items()}


VERBS: Mapping[str, Callable[..., None]] = {
    each.__name__.replace("_", "-"): each
    for each in (make_usr, make_uki, make_uki_packed_again, apply, into_slot, payloads)
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
