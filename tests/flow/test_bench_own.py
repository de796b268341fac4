"""Our own deltas as the program that `./dev bench update` measures."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import msgspec
import pytest

from bedplate.host.run import SystemRunner
from bedplate.release.payload.parts import describe_part
from bedplate.testing.packed_uki import archive, uki
from bench.own import UKI, USR

ROOT = Path(__file__).parents[2]
KERNEL = random.Random(1).randbytes(50_000)


def own(verb: str, *files: Path) -> None:
    SystemRunner().run([sys.executable, "-m", "bench.own", verb, *files], cwd=ROOT)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("images")
    old, new = folder / "old", folder / "new"
    for image, word in ((old, b"before"), (new, b"after it")):
        image.mkdir()
        (image / USR).write_bytes(KERNEL + word)
        (image / UKI).write_bytes(uki(KERNEL + word, archive(init=word), b"usrhash=" + word))
    return old, new


@pytest.mark.parametrize(
    ("verb", "part", "beside"),
    [("make-usr", USR, False), ("make-uki", UKI, True), ("make-uki-packed-again", UKI, True)],
)
def test_what_is_made_of_two_images_is_applied_to_the_older_part(
    images: tuple[Path, Path], tmp_path: Path, verb: str, part: str, *, beside: bool
) -> None:
    old, new = images
    (tmp_path / "part").write_bytes(msgspec.json.encode(describe_part(new / part)))
    own(verb, old, new, tmp_path / "delta")
    own("apply", tmp_path / "delta", old / part, tmp_path / "part", tmp_path / "out", *([new / USR] if beside else []))
    assert (tmp_path / "out").read_bytes() == (new / part).read_bytes()
