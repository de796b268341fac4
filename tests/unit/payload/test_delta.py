"""Deltas: what comes out is the part, from any chunk on; a delta that is damaged or lies is an error of the peer."""

from __future__ import annotations

import io
import lzma
import random
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.model.digests import sha256
from bedplate.model.errors import PeerError
from bedplate.model.reading import InMemory
from bedplate.release.payload.apply import rebuild_delta
from bedplate.release.payload.delta.format import MAGIC, Command, Head, Segment, encode_command, write_head
from bedplate.release.payload.delta.rebuild import add_bytes
from bedplate.release.payload.delta.script import Script
from bedplate.release.payload.delta.usr import write_usr
from bedplate.release.payload.make import Base, make_usr_delta, pays
from bedplate.wire.release import CHUNK_BYTES, Part, PartName, Payload, PayloadKind

OLDER = "Bedplate-1.37-amd64-202611.20.0"


def part_of(data: bytes) -> Part:
    chunks = tuple(sha256(data[at : at + CHUNK_BYTES]) for at in range(0, len(data), CHUNK_BYTES))
    return Part(size=len(data), sha256=sha256(data), chunks=chunks)


def delta_of(old: bytes, new: bytes) -> bytes:
    script, sink = Script(window=1 << 16), io.BytesIO()
    write_usr(script, memoryview(old), memoryview(new))
    script.write(sink, base=[Segment(len(old))], part=[Segment(len(new))])
    return sink.getvalue()


def rebuilt(delta: bytes, old: bytes, part: Part, first: int = 0) -> bytes:
    return b"".join(rebuild_delta(io.BytesIO(delta), InMemory(old), part, first=first))


def lying(*commands: tuple[Command, int], size: int = 4, diff: bytes = b"", extra: bytes = b"") -> bytes:
    """A delta of 4 bytes with the given commands."""
    control = b"".join(encode_command(command, amount) for command, amount in commands)
    packed = [lzma.compress(each, preset=0) for each in (control, diff, extra)]
    lengths = (len(packed[0]), len(packed[1]), len(packed[2]))
    return write_head(Head((Segment(4),), (Segment(size),), lengths)) + b"".join(packed)


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=1, max_size=2000), st.binary(min_size=1, max_size=2000))
def test_any_part_is_rebuilt_of_any_other(old: bytes, new: bytes) -> None:
    assert rebuilt(delta_of(old, new), old, part_of(new)) == new


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=1, max_size=4000), st.lists(st.tuples(st.integers(0, 4000), st.binary(max_size=30))))
def test_a_part_with_changes_is_rebuilt(old: bytes, changes: list[tuple[int, bytes]]) -> None:
    new = bytearray(old)
    for place, data in changes:
        new[place : place + len(data) // 2] = data
    assert rebuilt(delta_of(old, bytes(new or b"x")), old, part_of(bytes(new or b"x"))) == bytes(new or b"x")


@given(
    st.binary(max_size=500).flatmap(
        lambda one: st.tuples(st.just(one), st.binary(min_size=len(one), max_size=len(one)))
    )
)
def test_bytes_are_added_each_on_its_own(pair: tuple[bytes, bytes]) -> None:
    one, other = pair
    assert add_bytes(one, other) == bytes((a + b) % 256 for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("first", range(4))
def test_a_part_is_rebuilt_from_any_chunk_on(first: int) -> None:
    some = random.Random(2).randbytes(1 << 20)
    old = some * 33
    new = some * 20 + bytes(100) + some * 12 + b"end"
    script, sink = Script(), io.BytesIO()
    script.copy(0, 20 << 20)
    for edit in (new[20 << 20 : (20 << 20) + 100],):
        script._say(Command.NEW, len(edit), script._place)
        script._extra.put(edit)
    script.copy(0, 12 << 20)
    script._say(Command.NEW, 3, script._place)
    script._extra.put(b"end")
    script.write(sink, base=[Segment(len(old))], part=[Segment(len(new))])
    assert rebuilt(sink.getvalue(), old, part_of(new), first) == new[first * CHUNK_BYTES :]


class OneByteAtOnce(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(1 if self.tell() > 200 and size and size > 1 else size)


def test_a_delta_may_be_read_byte_by_byte() -> None:
    old, new = random.Random(3).randbytes(5000), random.Random(3).randbytes(4000) + b"new" * 50
    delta = OneByteAtOnce(delta_of(old, new))
    assert b"".join(rebuild_delta(delta, InMemory(old), part_of(new))) == new


def test_a_delta_that_is_cut_short_never_makes_another_part() -> None:
    old, new = b"old " * 100, b"new " * 50 + b"old " * 50
    delta = delta_of(old, new)
    for end in range(len(delta)):
        with suppress(PeerError):  # but for the last bytes of a stream, of which nothing is made
            assert rebuilt(delta[:end], old, part_of(new)) == new


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_delta_with_a_flipped_bit_is_an_error_or_makes_the_part_all_the_same(data: st.DataObject) -> None:
    old, new = bytes(range(256)) * 4, bytes(range(255, -1, -1)) * 2 + bytes(range(256)) * 2
    delta = bytearray(delta_of(old, new))
    delta[data.draw(st.integers(0, len(delta) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(PeerError):
        assert rebuilt(bytes(delta), old, part_of(new)) == new


@pytest.mark.parametrize(
    ("delta", "said"),
    [
        pytest.param(b"", "not a delta of this version", id="empty"),
        pytest.param(b"BSDIFF40" + bytes(100), "not a delta of this version", id="another format"),
        pytest.param(MAGIC + b"\xff\xff\xff\xff", "head of the delta claims", id="a huge head"),
        pytest.param(MAGIC + b"\x02\0\0\0{}", "head of the delta cannot be read", id="an empty head"),
        pytest.param(lying((Command.COPY, 4), size=5), "part of another size", id="another size"),
        pytest.param(lying((Command.COPY, 1 << 40)), "makes more than its part", id="too much"),
        pytest.param(lying((Command.COPY, 0)), "does nothing", id="a command of nothing"),
        pytest.param(lying((Command.SEEK, 1), (Command.COPY, 4)), "beyond its base", id="after the base"),
        pytest.param(lying((Command.SEEK, -1), (Command.COPY, 4)), "beyond its base", id="before the base"),
        pytest.param(lying((Command.NEW, 4)), "ends too early", id="no extra bytes"),
        pytest.param(lying((Command.ADD, 4)), "ends too early", id="no diff bytes"),
        pytest.param(lying((Command.COPY, 3)), "ends too early", id="too little"),
        pytest.param(lying((Command.NEW, 4), extra=b"tarp"), "another digest", id="another part"),
        pytest.param(lying(*[(Command.SEEK, 1)] * 2000), "more commands", id="endless moves"),
    ],
)
def test_a_delta_that_lies_is_an_error(delta: bytes, said: str) -> None:
    with pytest.raises(PeerError, match=said):
        rebuilt(delta, b"base", part_of(b"part"))


def test_a_base_of_another_size_is_an_error() -> None:
    with pytest.raises(PeerError, match="base of another size"):
        rebuilt(delta_of(b"base", b"part"), b"bases", part_of(b"part"))


def test_a_base_with_other_bytes_is_an_error() -> None:
    old, new = b"the same words in both of them" * 9, b"the same words in both of them" * 9 + b"!"
    with pytest.raises(PeerError, match="another digest"):
        rebuilt(delta_of(old, new), bytes(len(old)), part_of(new))


def test_a_delta_is_described_by_a_payload(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "new").write_bytes(b"new")
    made = make_usr_delta(Base(OLDER, tmp_path / "old"), tmp_path / "new", tmp_path / "delta", path="releases/V/delta")
    assert made.size == (tmp_path / "delta").stat().st_size
    assert (made.base, made.base_sha256) == (OLDER, sha256(b"old"))


@pytest.mark.parametrize(("size", "reason"), [(70, ""), (71, "it has 71% of the full payload's size")])
def test_a_delta_that_is_hardly_smaller_does_not_pay(size: int, reason: str) -> None:
    digest = sha256(b"")
    full = Payload(
        part=PartName.USR, kind=PayloadKind.FULL, path="releases/V/f", size=100, sha256=digest, frames=(100,)
    )
    changed = {"kind": PayloadKind.DELTA, "frames": (), "size": size, "base": OLDER, "base_sha256": digest}
    assert pays(msgspec.structs.replace(full, **changed), full) == reason
