"""The payloads of a release: full ones and deltas, each made once for the same bytes and kept in the cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from bedplate.host.files import file_sha256, folder_in_one_step, remove_leftovers, write_atomically
from bedplate.host.locks import in_turn
from bedplate.host.report import Step
from bedplate.model.errors import MachineError
from bedplate.model.versions import ImageVersion
from bedplate.release.payload.apply import rebuild_full
from bedplate.release.payload.delta.format import MAGIC
from bedplate.release.payload.full import LEVEL, make_full
from bedplate.release.payload.make import Base, make_uki_delta, make_usr_delta, pays, same_kernel
from bedplate.release.payload.parts import describe_part
from bedplate.release.publish.shown import Shown, target_bytes
from bedplate.release.publish.store import Store
from bedplate.release.trust.layout import target_file
from bedplate.wire.release import Part, PartName, Payload, PayloadKind, Release, decode, folder_of, manifest_path

PACKED, DESCRIBED, LOCK = "payload", "payload.json", ".lock"
DELTAS = 4
REPACK = ".repack"
"""In the names of deltas whose kernel is packed again."""
AT_ONCE = {PartName.USR: 1, PartName.UKI: 2}
"""Deltas of a part made at once, at most. One of /usr takes up to 2.3 GB, which is eighteen bytes for each of the
largest file that changed, the kubelet; one of a UKI 350 MB, or 1.3 GB with its kernel.
"""
PIECE_BYTES = 1 << 20
Make = Callable[[Path], Payload]
Kept = tuple[Path, Payload]


@dataclass(frozen=True, slots=True)
class Older:
    """A published version, and its parts as they were before they were packed."""

    version: str
    parts: Mapping[PartName, Path]


@dataclass(frozen=True, slots=True)
class PayloadMaker:
    """Implements `Maker`. `older` are the versions to make deltas against, `usr` is the new /usr: UKIs refer to it."""

    cache: Path
    usr: Path
    older: Sequence[Older]
    step: Step

    def describe(self, source: Path) -> Part:
        return describe_part(source)

    def payloads(self, name: PartName, source: Path, folder: Path, version: str) -> Sequence[Payload]:
        self.step.note(f"{name}, full")
        whole = file_sha256(source)[:32]
        (full,) = self._kept({f"{name}-{whole}-{LEVEL}": partial(make_full, source, part=name, path="")}, at_once=1)
        makes: dict[str, Make] = {}
        names = {}
        for old in self.older:
            for ending, make in self._deltas(name, source, old).items():
                # No key may be another's with a dot behind it: that is what leftovers of making it are called.
                key = f"{name}-{file_sha256(old.parts[name])[:32]}-{whole}-{MAGIC.decode()}{ending.replace('.', '-')}"
                makes[key], names[key] = make, f"{name}.from-{old.version}{ending}.delta"
        self.step.note(f"{name}, {len(makes)} deltas" if makes else f"{name}, full")
        worth = self._worth(full[1], dict(zip(names.values(), self._kept(makes, at_once=AT_ONCE[name]), strict=True)))
        return [_placed(kept, folder, file, version) for file, kept in {f"{name}.zst": full, **worth}.items()]

    def _deltas(self, name: PartName, new: Path, old: Older) -> Mapping[str, Make]:
        """What makes the deltas against one version, by the end of their names.

        A new kernel goes both ways: whole, and as a difference for nodes that have the memory to pack it again.
        """
        base = Base(old.version, old.parts[name])
        if name is PartName.USR:
            return {"": partial(make_usr_delta, base, new, path="")}
        uki = partial(make_uki_delta, base, new, self.usr, path="")
        whole = {"": partial(uki, kernel=False)}
        return whole if same_kernel(base.file, new) else {**whole, REPACK: partial(uki, kernel=True)}

    def _worth(self, full: Payload, deltas: Mapping[str, Kept]) -> Mapping[str, Kept]:
        """Those that pay beside the full payload, and beside what is kept against the same version and needs less."""
        worth: dict[str, Kept] = {}
        for file, kept in sorted(deltas.items(), key=lambda item: item[1][1].memory):
            others = [full, *(other for _, other in worth.values() if other.base == kept[1].base)]
            why_not = next(filter(None, (pays(kept[1], other) for other in others)), "")
            if not self._told(file, why_not):
                worth[file] = kept
        return {file: kept for file, kept in deltas.items() if file in worth}

    def _told(self, file: str, why_not: str) -> bool:
        if why_not:
            self.step.note(f"{file} is left out: {why_not}")
        return bool(why_not)

    def _kept(self, makes: Mapping[str, Make], *, at_once: int) -> Sequence[Kept]:
        """What the cache has by these keys, made where it lacks it, so many at once, each in a process of its own."""
        if self._missing(makes):
            with in_turn(self.cache / LOCK, doing="making payloads", waiting=self._wait):
                self._make(self._missing(makes), makes, at_once)
        return [_read(self.cache / key) for key in makes]

    def _missing(self, makes: Mapping[str, Make]) -> Sequence[str]:
        return [key for key in makes if not (self.cache / key).is_dir()]

    def _make(self, missing: Sequence[str], makes: Mapping[str, Make], at_once: int) -> None:
        if len(missing) == 1:
            _make(self.cache / missing[0], makes[missing[0]])
        elif missing:
            with ProcessPoolExecutor(min(at_once, len(os.sched_getaffinity(0)))) as pool:
                list(pool.map(_make, [self.cache / key for key in missing], [makes[key] for key in missing]))

    @contextmanager
    def _wait(self, line: str) -> Iterator[None]:
        self.step.note(line)
        yield


def _make(folder: Path, make: Make) -> None:
    remove_leftovers(folder)
    with folder_in_one_step(folder) as scratch:
        write_atomically(scratch / DESCRIBED, msgspec.json.encode(make(scratch / PACKED)))


def _read(folder: Path) -> Kept:
    described = msgspec.json.decode((folder / DESCRIBED).read_bytes(), type=Payload)
    if file_sha256(folder / PACKED) != described.sha256:
        raise MachineError(f"{folder} is damaged.", resolution=f"Remove it, then try again: rm -r {folder}")
    return folder / PACKED, described


def _placed(kept: Kept, folder: Path, file: str, version: str) -> Payload:
    source, payload = kept
    shutil.copyfile(source, folder / file)
    return msgspec.structs.replace(payload, path=f"{folder_of(version)}/{file}")


@contextmanager
def older_parts(
    store: Store, shown: Shown | None, version: str, count: int, scratch: Path
) -> Iterator[Sequence[Older]]:
    """The parts of the newest `count` published versions before `version`, unpacked of the repository itself."""
    with TemporaryDirectory(dir=scratch, prefix=".older.") as folder:
        found = versions_before(shown, version)[:count] if shown else ()
        yield [_unpacked(store, shown, each, Path(folder) / each) for each in found if shown]


def versions_before(shown: Shown, version: str) -> Sequence[str]:
    """What is published of the same minor and architecture before `version`, the newest first."""
    new = ImageVersion.parse(version)
    older = [ImageVersion.parse(each) for each in shown.versions]
    same = [each for each in older if (each.kubernetes, each.architecture) == (new.kubernetes, new.architecture)]
    return [str(each) for each in sorted(same, reverse=True) if each < new]


def _unpacked(store: Store, shown: Shown, version: str, folder: Path) -> Older:
    text = target_bytes(store, shown, manifest_path(version))
    if text is None:
        raise MachineError(f"The repository lacks the manifest of {version}.", resolution="bedplate release verify")
    release = decode(text, Release)
    folder.mkdir()
    return Older(version, {name: _unpack(store, release, name, folder / name) for name in PartName})


def _unpack(store: Store, release: Release, name: PartName, target: Path) -> Path:
    full = next(each for each in release.payloads if each.part is name and each.kind is PayloadKind.FULL)
    with store.open(target_file(full.path, full.sha256)) as packed, target.open("wb") as sink:
        sink.writelines(rebuild_full(iter(lambda: packed.read(PIECE_BYTES), b""), full, release.part(name)))
    return target
