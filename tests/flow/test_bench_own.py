"""Our own deltas as the program that `./dev bench update` measures."""

from __future__ import annotations

import random
import sys
import uuid
from pathlib import Path

import msgspec
import pytest

from bedplate.cli.release_payloads import LOCK
from bedplate.host.run import ProgramFailed, SystemRunner
from bedplate.image.manifest import Manifest, write_manifest
from bedplate.model.reading import InMemory
from bedplate.node.slots.verity import make_tree
from bedplate.release.payload.parts import describe_part
from bedplate.testing.packed_uki import archive, uki
from bedplate.wire.release import PartName
from bench.own import UKI, USR

ROOT = Path(__file__).parents[2]
CONTENT = random.Random(1).randbytes(50_000)


def own(verb: str, *files: Path) -> None:
    SystemRunner().run([sys.executable, "-m", "bench.own", verb, *files], cwd=ROOT)


def image(folder: Path, word: bytes, day: int) -> Path:
    """A small image whose root hash is right."""
    folder.mkdir()
    usr = (CONTENT + word).ljust(13 * 4096, b"\0")
    tree = make_tree(InMemory(usr), len(usr), salt=b"salt", identity=uuid.UUID(int=1))
    (folder / USR).write_bytes(usr)
    (folder / "usr.verity").write_bytes(tree.image)
    (folder / "usr.verity-sig").write_bytes(b"{}")
    (folder / UKI).write_bytes(uki(CONTENT + word, archive(init=word), b"usrhash=" + word))
    facts = {
        "kernel": "6.12",
        "root_hash": tree.root_hash,
        "certificate_sha256": "",
        "command_line": "",
        "debug": False,
    }
    rest = {"partitions": (), "packages": (), "executables": (), "units": {}, "files": ()}
    write_manifest(folder, Manifest(version=f"Bedplate-1.37-amd64-202611.{day}.0", **facts, **rest))
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("images")
    return image(folder / "old", b"before", 20), image(folder / "new", b"after it", 21)


def described(part: Path, folder: Path) -> Path:
    (folder / "part.json").write_bytes(msgspec.json.encode(describe_part(part)))
    return folder / "part.json"


@pytest.mark.parametrize(
    ("verb", "part", "beside"),
    [("make-usr", USR, ()), ("make-uki", UKI, (USR,)), ("make-uki-packed-again", UKI, (USR,))],
)
def test_what_is_made_of_two_images_is_applied_to_the_older_part(
    images: tuple[Path, Path], tmp_path: Path, verb: str, part: str, beside: tuple[str, ...]
) -> None:
    old, new = images
    own(verb, old, new, tmp_path / "delta")
    files = (tmp_path / "delta", old / part, described(new / part, tmp_path), tmp_path / "out")
    own("apply", *files, *(new / name for name in beside))
    assert (tmp_path / "out").read_bytes() == (new / part).read_bytes()


def test_usr_goes_into_a_slot_and_the_slot_is_judged_by_its_hash_tree(
    images: tuple[Path, Path], tmp_path: Path
) -> None:
    old, new = images
    own("make-usr", old, new, tmp_path / "delta")
    files = (tmp_path / "delta", old, new, described(new / USR, tmp_path), tmp_path / "slot")
    own("into-slot", *files)
    assert (tmp_path / "slot").read_bytes() == (new / USR).read_bytes()
    with pytest.raises(ProgramFailed, match="not the one that was signed"):
        own("into-slot", *files[:2], old, *files[3:])


def test_all_payloads_of_a_release_are_made_and_those_that_are_there_are_not_made_again(
    images: tuple[Path, Path], tmp_path: Path
) -> None:
    old, new = images
    cache, folder = tmp_path / "cache", tmp_path / "release"
    folder.mkdir()
    for part in PartName:
        own("payloads", Path(part), cache, folder, new)
    assert {path.name for path in folder.iterdir()} == {"usr.zst", "uki.zst"}
    full = {path: path.stat().st_mtime_ns for path in cache.iterdir() if path.name != LOCK}
    own("payloads", Path(PartName.USR), cache, folder, new, old)
    assert "usr.from-Bedplate-1.37-amd64-202611.20.0.delta" in {path.name for path in folder.iterdir()}
    assert {path: path.stat().st_mtime_ns for path in full} == full
