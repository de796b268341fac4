"""Whatever lies where a bundle is expected, each of its files is had or refused; nothing else."""

from __future__ import annotations

import io
import struct
import zipfile

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bedplate.model.errors import PeerError
from bedplate.release.trust.bundle import BundleHttp

CONTENT = {"metadata/timestamp.json": b"{}" * 200, "metadata/1.root.json": b"x" * 500, "targets/a.zst": b"z" * 5000}
MOST = 6000
NOT_HERE = 0xFFFFFFFF
"""That a number has 64 bits and is somewhere else."""


def archive() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as opened:
        for name, data in CONTENT.items():
            opened.writestr(zipfile.ZipInfo(name), data)
    return made.getvalue()


WHOLE = archive()
LIST = WHOLE.index(b"PK\1\2")
HEADS = [at for at in range(len(WHOLE) - 3) if WHOLE[at : at + 3] in (b"PK\1", b"PK\3", b"PK\5")]
SPOTS = st.integers(0, len(WHOLE) - 1) | st.integers(LIST, len(WHOLE) - 1) | st.sampled_from(HEADS)
CHANGES = st.lists(st.tuples(SPOTS, st.integers(0, 60), st.integers(0, 255)), max_size=3)


def taken(data: bytes, name: str, start: int = 0) -> bytes:
    bundle = BundleHttp("bundle.zip", lambda: io.BytesIO(data))
    with bundle.get(f"{bundle.mirror}/{name}", most=MOST, start=start) as reply:
        return b"".join(reply.pieces)


def holds(data: bytes) -> None:
    for name in CONTENT:
        for start in (0, 100):
            try:
                assert len(taken(data, name, start)) <= MOST
            except PeerError as problem:
                assert problem.brief  # noqa: PT017  # either end is right, and nothing else is


def test_what_is_sound_is_had() -> None:
    assert {name: taken(WHOLE, name) for name in CONTENT} == CONTENT
    assert taken(WHOLE, "targets/a.zst", 4990) == b"z" * 10


@settings(max_examples=300, deadline=None)
@given(CHANGES)
@example([(LIST, 9, 0x08), (LIST, 46, 0xFF)])
def test_an_archive_with_other_bytes_in_it_is_had_or_refused(changes: list[tuple[int, int, int]]) -> None:
    data = bytearray(WHOLE)
    for spot, beyond, value in changes:
        data[min(spot + beyond, len(data) - 1)] = value
    holds(bytes(data))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(WHOLE)), st.integers(0, len(WHOLE)), st.binary(max_size=40))
def test_an_archive_of_other_pieces_is_had_or_refused(end: int, begin: int, between: bytes) -> None:
    holds(WHOLE[:end] + between + WHOLE[begin:])


@settings(max_examples=100, deadline=None)
@given(*[st.sampled_from([0, 1, LIST, len(WHOLE), 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])] * 3)
def test_an_archive_that_claims_any_size_is_had_or_refused(size: int, start: int, offset: int) -> None:
    """By the records for large archives, and in the entry of a file that says where it is by 64 bits."""
    extra = struct.pack("<HHQQQ", 1, 24, size, size, offset)
    name = b"metadata/timestamp.json"
    numbers = (45, 3, 45, 0, 0, 0, 0, 0, 0, NOT_HERE, NOT_HERE, len(name), len(extra), 0, 0, 0, 0, NOT_HERE)
    listed = struct.pack("<4s4B4H3L5H2L", b"PK\1\2", *numbers) + name + extra
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, start)
    where = struct.pack("<4sLQL", b"PK\6\7", 0, len(WHOLE), 1)
    last = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, NOT_HERE, NOT_HERE, 0)
    holds(WHOLE + end + where + last)
    last = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(listed), LIST, 0)
    holds(WHOLE[:LIST] + listed + last)
