"""Deltas of UKIs: the kernel is compared unpacked or sent whole, the initrd is packed again, every byte is right."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bedplate.model.errors import PeerError
from bedplate.model.reading import InMemory
from bedplate.release.payload.apply import rebuild_delta
from bedplate.release.payload.make import MEMORY, Base, kernel_memory, make_uki_delta
from bedplate.release.payload.parts import describe_part
from bedplate.testing.packed_uki import archive, uki
from bedplate.wire.release import Payload

OLDER = "Bedplate-1.37-amd64-202611.20.0"
KERNEL = random.Random(1).randbytes(200_000)
PATCHED = KERNEL[:90_000] + b"patched" + KERNEL[90_007:]
USR = b"no erofs" * 100


OLD = uki(KERNEL, archive(init=b"one"), b"usrhash=old")
NEW = uki(PATCHED, archive(init=b"two", more=b"x" * 500), b"usrhash=new")


def make(folder: Path, *, kernel: bool) -> tuple[Payload, bytes]:
    for name, content in (("old", OLD), ("new", NEW), ("usr", USR)):
        (folder / name).write_bytes(content)
    made = make_uki_delta(
        Base(OLDER, folder / "old"), folder / "new", folder / "usr", folder / "delta", path="", kernel=kernel
    )
    return made, (folder / "delta").read_bytes()


@pytest.mark.parametrize("kernel", [True, False])
def test_a_uki_is_rebuilt_of_the_older_one_and_the_new_usr(tmp_path: Path, *, kernel: bool) -> None:
    make(tmp_path, kernel=kernel)
    with (tmp_path / "delta").open("rb") as delta:
        chunks = rebuild_delta(delta, InMemory(OLD), describe_part(tmp_path / "new"), beside=InMemory(USR))
        assert b"".join(chunks) == NEW


def test_a_kernel_that_is_packed_again_costs_memory_instead_of_bytes(tmp_path: Path) -> None:
    small, _ = make(tmp_path, kernel=True)
    whole, _ = make(tmp_path, kernel=False)
    assert small.size < 10_000 < len(PATCHED) < whole.size
    assert (small.memory, whole.memory) == (kernel_memory(len(PATCHED)), MEMORY)


@pytest.mark.parametrize("beside", [None, InMemory(USR[:-1])])
def test_a_delta_without_the_usr_that_it_refers_to_is_refused(tmp_path: Path, beside: InMemory | None) -> None:
    make(tmp_path, kernel=False)
    with (tmp_path / "delta").open("rb") as delta, pytest.raises(PeerError, match="does not make the part"):
        list(rebuild_delta(delta, InMemory(OLD), describe_part(tmp_path / "new"), beside=beside))


def test_a_delta_made_against_another_uki_is_refused(tmp_path: Path) -> None:
    make(tmp_path, kernel=True)
    other = uki(KERNEL, archive(init=b"one"), b"usrhash=odd")
    with (tmp_path / "delta").open("rb") as delta, pytest.raises(PeerError, match="does not make the part"):
        list(rebuild_delta(delta, InMemory(other), describe_part(tmp_path / "new"), beside=InMemory(USR)))
