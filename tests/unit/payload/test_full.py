"""Full payloads: what comes out is the part, from any chunk on, or an error; never more memory than a chunk needs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.model.digests import sha256
from bedplate.model.errors import PeerError
from bedplate.model.reading import InMemory, ReadAt
from bedplate.release.payload.apply import rebuild_full, start_of
from bedplate.release.payload.full import make_full
from bedplate.release.payload.parts import FileAt, checked_chunks, describe_part
from bedplate.wire.release import CHUNK_BYTES, Part, PartName, Payload, PayloadKind

PATH = "releases/Bedplate-1.37-amd64-202611.24.0/usr.zst"


class Made:
    """A part of three chunks, the last one short, and its full payload."""

    def __init__(self, folder: Path) -> None:
        self.data = bytes(CHUNK_BYTES) + random.Random(1).randbytes(1000) * 17000 + b"end"
        (folder / "usr").write_bytes(self.data)
        self.part = describe_part(folder / "usr")
        self.payload = make_full(folder / "usr", folder / "usr.zst", part=PartName.USR, path=PATH, workers=2)
        self.sent = (folder / "usr.zst").read_bytes()

    def chunk(self, index: int) -> bytes:
        return self.data[index * CHUNK_BYTES :][:CHUNK_BYTES]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("full"))


def pieces(data: bytes, length: int) -> Iterator[bytes]:
    return (data[at : at + length] for at in range(0, len(data), length))


def payload_of(*frames: bytes) -> Payload:
    whole = b"".join(frames)
    lengths = tuple(map(len, frames))
    values = {"part": PartName.USR, "kind": PayloadKind.FULL, "path": PATH, "size": len(whole), "frames": lengths}
    return msgspec.convert({**values, "sha256": sha256(whole)}, Payload)


def part_of(data: bytes) -> Part:
    chunks = tuple(sha256(data[at : at + CHUNK_BYTES]) for at in range(0, len(data), CHUNK_BYTES))
    return Part(size=len(data), sha256=sha256(data), chunks=chunks)


def test_a_part_is_described_by_the_digests_of_its_chunks(made: Made) -> None:
    assert made.part == part_of(made.data)
    assert len(made.part.chunks) == 3


def test_the_payload_is_one_frame_for_each_chunk(made: Made) -> None:
    assert len(made.payload.frames) == 3
    assert made.payload.size == len(made.sent)
    assert made.payload.sha256 == sha256(made.sent)


def test_the_same_part_makes_the_same_payload_whatever_the_number_of_workers(made: Made, tmp_path: Path) -> None:
    (tmp_path / "usr").write_bytes(made.data)
    again = make_full(tmp_path / "usr", tmp_path / "usr.zst", part=PartName.USR, path=PATH, workers=1)
    assert again == made.payload


@pytest.mark.parametrize("first", range(4))
def test_the_part_is_rebuilt_from_any_chunk_on(made: Made, first: int) -> None:
    rest = pieces(made.sent[start_of(made.payload, first) :], 65536)
    assert list(rebuild_full(rest, made.payload, made.part, first=first)) == [made.chunk(n) for n in range(first, 3)]


@pytest.mark.parametrize("length", [1, 4095, 1 << 24])
def test_pieces_may_have_any_length(made: Made, length: int) -> None:
    assert b"".join(rebuild_full(pieces(made.sent, length), made.payload, made.part)) == made.data


@pytest.mark.parametrize("kept", [0, 1, -1])
def test_a_payload_that_is_cut_short_is_an_error(made: Made, kept: int) -> None:
    with pytest.raises(PeerError, match="cut short"):
        list(rebuild_full([made.sent[:kept]], made.payload, made.part))


def test_a_payload_that_goes_on_is_an_error(made: Made) -> None:
    with pytest.raises(PeerError, match="goes on after its last frame"):
        list(rebuild_full([made.sent, b"more"], made.payload, made.part))


def test_chunks_before_the_damage_come_whole(made: Made) -> None:
    damaged = bytearray(made.sent)
    damaged[start_of(made.payload, 1) + 9] ^= 1
    chunks = rebuild_full([bytes(damaged)], made.payload, made.part)
    assert next(chunks) == made.chunk(0)
    with pytest.raises(PeerError):
        next(chunks)


def test_a_frame_with_other_content_is_an_error(made: Made) -> None:
    frame = zstandard.compress(b"x" * len(made.chunk(2)))
    payload = payload_of(made.sent[: made.payload.frames[0]], frame)
    part = part_of(made.chunk(0) + made.chunk(2))
    with pytest.raises(PeerError, match="chunk 1 of 2 has another digest"):
        list(rebuild_full([made.sent[: made.payload.frames[0]], frame], payload, part))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(zstandard.compress(bytes(1 << 28)), id="claims 256 MiB"),
        pytest.param(zstandard.ZstdCompressor(write_content_size=False).compress(bytes(100)), id="claims nothing"),
        pytest.param(zstandard.compress(bytes(100)) * 2, id="two frames"),
        pytest.param(zstandard.compress(bytes(100))[:-1], id="cut short"),
        pytest.param(b"garbage that is no frame", id="garbage"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\x28\xb5\x2f\xfd", id="only the magic number"),
    ],
)
def test_a_frame_that_is_not_the_chunk_is_an_error(frame: bytes) -> None:
    with pytest.raises(PeerError):
        list(rebuild_full([frame], payload_of(frame), part_of(bytes(100))))


def test_a_frame_longer_than_any_chunk_makes_is_not_read() -> None:
    payload = msgspec.structs.replace(payload_of(b"x"), size=1 << 40, frames=(1 << 40,))

    def endless() -> Iterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    with pytest.raises(PeerError, match="claims 1099511627776 bytes"):
        list(rebuild_full(endless(), payload, part_of(b"x")))


def test_frames_for_another_number_of_chunks_are_an_error(made: Made) -> None:
    with pytest.raises(PeerError, match="3 frames for 1 chunks"):
        list(rebuild_full([made.sent], made.payload, part_of(b"x")))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_an_error_of_the_peer(frame: bytes) -> None:
    with pytest.raises(PeerError):
        list(rebuild_full([frame], payload_of(frame), part_of(b"part")))


@given(st.binary(min_size=1), st.lists(st.integers(0, 200)))
def test_chunks_are_checked_however_the_pieces_fall(data: bytes, cuts: list[int]) -> None:
    ends = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    parts = [data[a:b] for a, b in pairwise(ends)]
    assert list(checked_chunks(parts, part_of(data))) == [data]


@pytest.mark.parametrize(
    ("sent", "said"), [(b"par", "ends within"), (b"parts", "goes on"), (b"tarp", "another digest")]
)
def test_pieces_that_are_not_the_part_are_an_error(sent: bytes, said: str) -> None:
    with pytest.raises(PeerError, match=said):
        list(checked_chunks([sent], part_of(b"part")))


@pytest.mark.parametrize(("offset", "size"), [(0, 4), (2, 100), (4, 1), (9, 1), (1, 0)])
def test_files_and_bytes_are_read_alike(tmp_path: Path, offset: int, size: int) -> None:
    (tmp_path / "part").write_bytes(b"part")
    with (tmp_path / "part").open("rb") as opened:
        sources: tuple[ReadAt, ...] = (FileAt(opened.fileno(), 4), InMemory(b"part"))
        assert {source.read_at(offset, size) for source in sources} == {b"part"[offset : offset + size]}
