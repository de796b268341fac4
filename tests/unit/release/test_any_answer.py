"""Whatever a server answers, a node gets what was signed or an error that was foreseen; nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bedplate.model.errors import PeerError
from bedplate.release.trust.repository import Repository
from bedplate.testing.clock import START
from bedplate.testing.releases import MIRROR
from bedplate.testing.simulator import RepositorySimulator

SIMULATOR = RepositorySimulator()
WHOLE = dict(SIMULATOR.files)
FILES = sorted(WHOLE)
NESTED = b"[" * 100_000
ODD = [
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"{}",
    b'{"signed": {}, "signatures": []}',
    b'{"signed": {"_type": "root"}, "signatures": [{}]}',
    b'{"signed": {"_type": "timestamp", "version": "1"}, "signatures": {}}',
    b"\xff\xfe",
    NESTED,
]


def what_a_node_gets(files: dict[str, bytes]) -> bytes:
    SIMULATOR.files = files
    with tempfile.TemporaryDirectory() as folder:
        http = SIMULATOR.http()
        node = Repository(SIMULATOR.roots[0], Path(folder), [MIRROR], http, lambda: START)
        release = node.release(node.channel("1.37/stable").version)
        return b"".join(node.fetch(release.payloads[0]))


def holds(files: dict[str, bytes]) -> None:
    try:
        assert what_a_node_gets(files) == b"usr" * 5000
    except PeerError as problem:
        assert problem.brief  # noqa: PT017  # either end is right, and nothing else is


def test_the_truth_is_believed() -> None:
    assert what_a_node_gets(dict(WHOLE)) == b"usr" * 5000


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("answer", ODD, ids=lambda answer: answer[:20].decode(errors="replace"))
def test_an_odd_answer_is_refused(path: str, answer: bytes) -> None:
    holds({**WHOLE, path: answer})


@pytest.mark.parametrize("path", FILES)
def test_any_file_in_the_place_of_another_is_refused(path: str) -> None:
    for other in FILES:
        holds({**WHOLE, path: WHOLE[other]})


@settings(max_examples=150, deadline=None)
@given(path=st.sampled_from(FILES), at=st.integers(0, 20_000), bits=st.integers(1, 255))
@example(path="metadata/timestamp.json", at=0, bits=1)
def test_a_turned_byte_is_never_believed(path: str, at: int, bits: int) -> None:
    data = bytearray(WHOLE[path])
    data[at % len(data)] ^= bits
    holds({**WHOLE, path: bytes(data)})


@settings(max_examples=60, deadline=None)
@given(path=st.sampled_from(FILES), share=st.floats(0, 1))
def test_a_cut_file_is_never_believed(path: str, share: float) -> None:
    holds({**WHOLE, path: WHOLE[path][: int(len(WHOLE[path]) * share)]})


def test_the_next_root_may_be_anything_and_is_not_believed() -> None:
    for answer in [*ODD, *WHOLE.values()]:
        holds({**WHOLE, "metadata/2.root.json": answer})
