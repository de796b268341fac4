"""Payloads of one release after another: deltas against those before, made once, and left out where they do not pay."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bedplate.cli.release_image import Making, prepare_image
from bedplate.cli.release_payloads import LOCK, PayloadMaker, older_parts, versions_before
from bedplate.host.locks import take
from bedplate.image.manifest import Manifest, write_manifest
from bedplate.image.verity import MAGIC, SUPERBLOCK
from bedplate.model.digests import sha256
from bedplate.model.errors import MachineError
from bedplate.release.payload.make import MEMORY, kernel_memory
from bedplate.release.publish.changes import begin, publish
from bedplate.release.publish.edit import Edit, carry_out
from bedplate.release.publish.keys import Keyring, make_keys
from bedplate.release.publish.prepared import read_prepared
from bedplate.release.publish.shown import read_shown
from bedplate.release.publish.store import FolderStore
from bedplate.testing.clock import START
from bedplate.testing.packed_uki import archive, uki
from bedplate.testing.report import RecordedReport, RecordedStep
from bedplate.wire.release import PartName, PayloadKind, Release

VERSIONS = tuple(f"Bedplate-1.37-amd64-202611.{day}.0" for day in (20, 22, 24))
MAKING = Making({"kubelet": "v1.37.2"}, "v1.37.2")
USR = random.Random(5).randbytes(300_000)
KERNEL = random.Random(6).randbytes(100_000)
PATCHED = KERNEL[:60_000] + b"patched" + KERNEL[60_007:]
NAMED = b"ID=bedplate\n# " + random.Random(8).randbytes(100_000).hex().encode()
"""What all UKIs here have in common, by which a loader takes them."""


def image(folder: Path, version: str, usr: bytes, kernel: bytes = KERNEL) -> Path:
    folder.mkdir(parents=True)
    facts = {"kernel": "6.12", "root_hash": sha256(usr), "certificate_sha256": "", "command_line": "", "debug": False}
    rest = {"partitions": (), "packages": (), "executables": (), "units": {}, "files": ()}
    write_manifest(folder, Manifest(version=version, **facts, **rest))
    (folder / "usr.erofs").write_bytes(usr)
    command_line = f"usrhash={sha256(usr)}".encode()
    (folder / "uki.efi").write_bytes(uki(kernel, archive(init=b"init"), command_line, release=NAMED))
    head = SUPERBLOCK.pack(MAGIC, 1, 1, bytes(16), b"sha256", 4096, 4096, 4, 32, b"\xab" * 32)
    (folder / "usr.verity").write_bytes(head.ljust(4096, b"\0"))
    (folder / "usr.verity-sig").write_bytes(b"{}".ljust(16384, b"\0"))
    return folder


class Desk:
    """A repository, and releases made for it one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.report = folder, RecordedReport()
        self.store, self.cache = FolderStore(folder / "repository"), folder / "cache"
        self.cache.mkdir()
        make_keys(folder / "keys")
        self.keyring = Keyring([folder / "keys"])
        carry_out(begin(self.keyring, START).seal(self.keyring), self.store)

    def make(self, version: str, usr: bytes, *, deltas: int = 4, kernel: bytes = KERNEL) -> Release:
        source = image(self.folder / "images" / version, version, usr, kernel)
        shown, prepared = read_shown(self.store), self.folder / "prepared" / version
        with self.report.step("Payloads") as step, older_parts(self.store, shown, version, deltas, self.cache) as older:
            maker = PayloadMaker(self.cache, source / "usr.erofs", older, step)
            return prepare_image(source, prepared, MAKING, before=None, maker=maker)

    def publish(self, version: str, usr: bytes) -> Release:
        made = self.make(version, usr)
        edit = Edit(read_shown(self.store), START, self.keyring.days)
        publish(edit, *read_prepared(self.folder / "prepared" / version))
        carry_out(edit.seal(self.keyring), self.store)
        return made


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def bases(release: Release, name: PartName) -> Sequence[str]:
    return sorted({each.base for each in release.payloads if each.part is name and each.kind is PayloadKind.DELTA})


def test_the_first_release_has_full_payloads_alone(desk: Desk) -> None:
    release = desk.publish(VERSIONS[0], USR)
    assert [(each.part, each.kind) for each in release.payloads] == [
        (PartName.USR, PayloadKind.FULL),
        (PartName.UKI, PayloadKind.FULL),
    ]


def test_later_ones_have_deltas_against_those_before(desk: Desk) -> None:
    desk.publish(VERSIONS[0], USR)
    desk.publish(VERSIONS[1], USR + b"one")
    release = desk.publish(VERSIONS[2], USR + b"two")
    assert bases(release, PartName.USR) == list(VERSIONS[:2])
    assert bases(release, PartName.UKI) == list(VERSIONS[:2])
    assert all(each.size < 10_000 for each in release.payloads if each.kind is PayloadKind.DELTA)


def test_only_as_many_are_made_as_was_asked_for(desk: Desk) -> None:
    desk.publish(VERSIONS[0], USR)
    desk.publish(VERSIONS[1], USR + b"one")
    assert bases(desk.make(VERSIONS[2], USR, deltas=1), PartName.USR) == [VERSIONS[1]]


def test_a_new_kernel_goes_whole_and_as_a_difference_that_takes_memory(desk: Desk) -> None:
    desk.publish(VERSIONS[0], USR)
    release = desk.make(VERSIONS[1], USR, kernel=PATCHED)
    found = [each for each in release.payloads if each.part is PartName.UKI and each.kind is PayloadKind.DELTA]
    assert [(each.path.rpartition("/")[2], each.memory) for each in found] == [
        (f"uki.from-{VERSIONS[0]}.delta", MEMORY),
        (f"uki.from-{VERSIONS[0]}.repack.delta", kernel_memory(len(PATCHED))),
    ]
    large, small = (each.size for each in found)
    assert small < 5000 < len(PATCHED) < large


def test_a_delta_that_takes_memory_and_saves_nothing_is_left_out(desk: Desk) -> None:
    desk.publish(VERSIONS[0], USR)
    release = desk.make(VERSIONS[1], USR, kernel=random.Random(9).randbytes(100_000))
    assert [each.path.rpartition("/")[2] for each in release.payloads if each.part is PartName.UKI] == [
        "uki.zst",
        f"uki.from-{VERSIONS[0]}.delta",
    ]
    notes = [note for step in desk.report.steps for note in step.notes]
    assert f"uki.from-{VERSIONS[0]}.repack.delta is left out: it has 100% of the larger delta's size" in notes


def test_a_delta_that_does_not_pay_is_left_out_and_said_so(desk: Desk) -> None:
    desk.publish(VERSIONS[0], USR)
    release = desk.publish(VERSIONS[1], random.Random(7).randbytes(300_000))
    assert bases(release, PartName.USR) == []
    notes = [note for step in desk.report.steps for note in step.notes]
    assert any(f"usr.from-{VERSIONS[0]}.delta is left out: it has 1" in note for note in notes)


def test_what_is_in_the_cache_is_not_made_again_and_a_damaged_one_is_named(desk: Desk) -> None:
    first = desk.make(VERSIONS[0], USR)
    (kept,) = desk.cache.glob("usr-*")
    marked = (kept / "payload").stat().st_mtime_ns
    again = Desk.make(desk, VERSIONS[1], USR)
    assert (kept / "payload").stat().st_mtime_ns == marked
    assert again.payloads[0].sha256 == first.payloads[0].sha256
    (kept / "payload").write_bytes(b"x")
    with pytest.raises(MachineError, match="is damaged"):
        desk.make(VERSIONS[2], USR)


@dataclass
class Patient(RecordedStep):
    """A step in which the other process ends as soon as it is waited for."""

    end: Callable[[], None] = lambda: None

    def note(self, text: str) -> None:
        super().note(text)
        if text.startswith("Wait for process"):
            self.end()


def test_a_payload_that_another_process_makes_is_waited_for_and_not_made_again(desk: Desk) -> None:
    desk.make(VERSIONS[0], USR)
    (kept,) = desk.cache.glob("usr-*")
    theirs = kept.rename(kept.with_name(f".{kept.name}.theirs"))
    marked, held = (theirs / "payload").stat().st_mtime_ns, take(desk.cache / LOCK)
    assert held is not None

    def end() -> None:
        theirs.rename(kept)
        os.close(held)

    step, source = Patient("Payloads", end=end), desk.folder / "images" / VERSIONS[0] / "usr.erofs"
    PayloadMaker(desk.cache, source, (), step).payloads(PartName.USR, source, desk.folder, VERSIONS[1])
    assert [note for note in step.notes if note.startswith("Wait")]
    assert (kept / "payload").stat().st_mtime_ns == marked


def test_versions_before_are_of_the_same_minor_and_the_newest_first(desk: Desk) -> None:
    desk.publish(VERSIONS[1], USR)
    desk.publish(VERSIONS[0], USR)
    shown = read_shown(desk.store)
    assert versions_before(shown, VERSIONS[2]) == [VERSIONS[1], VERSIONS[0]]
    assert versions_before(shown, VERSIONS[1]) == [VERSIONS[0]]
    assert versions_before(shown, "Bedplate-1.38-amd64-202611.24.0") == []
