"""Bytes from several mirrors: whoever sends what is wrong is found out, and one honest mirror is enough."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuf.api.metadata import TargetFile

from bedplate.model.digests import sha256
from bedplate.model.errors import PeerError
from bedplate.release.trust.mirrors import Mirrors
from bedplate.testing.http import FakeHttp, Lie, altered, away, broken_off, endless, honest, slow, truncated

SIGNED = random.Random(7).randbytes(5000)
TARGET = TargetFile(len(SIGNED), {"sha256": sha256(SIGNED)}, "releases/1/usr.zst")
CHUNK = 600
"""Of another length than the pieces that come, so that one may be of two mirrors."""


def spoilt(_: str, data: bytes) -> Iterator[bytes]:
    """Half of it made up, and then an end as if that were all."""
    yield bytes(len(data) // 2)


def made_up(_: str, data: bytes) -> Iterator[bytes]:
    yield bytes(len(data))


LIES: list[Lie] = [away, slow, truncated, broken_off, altered, endless, spoilt, made_up]


def mirrors_that(*lies: Lie) -> Mirrors:
    """One for each of these, asked in this order."""
    names = [f"https://{number}.example" for number in range(len(lies))]
    http = FakeHttp(lambda _: SIGNED)
    http.lies = {"": lambda url, data: lies[int(url[8])](url, data)}
    return Mirrors(http, names)


def wrong(held: bytes) -> bool:
    return not SIGNED.startswith(held)


def read_by_chunks(mirrors: Mirrors, start: int = 0) -> bytes:
    """As a full payload is read: each chunk is judged as it comes."""
    held = SIGNED[:start]
    for piece in mirrors.stream(TARGET, start):
        held += piece
        judged = len(held) if len(held) == len(SIGNED) else len(held) // CHUNK * CHUNK
        if wrong(held[:judged]):
            raise PeerError("A chunk is wrong.")
    return held


def read_to_the_end(mirrors: Mirrors) -> bytes:
    """As a delta is read: into a file, judged at its end."""
    return b"".join(mirrors.stream(TARGET, 0))


def places(mirrors: Mirrors) -> list[int]:
    return [int(name[8]) for name in mirrors.order]


def test_a_reader_that_stops_early_has_found_something_wrong() -> None:
    mirrors = mirrors_that(made_up, honest)
    with pytest.raises(PeerError, match="A chunk is wrong"):
        read_by_chunks(mirrors)
    assert places(mirrors) == [1, 0]
    assert read_by_chunks(mirrors) == SIGNED


@pytest.mark.parametrize("read", [read_by_chunks, read_to_the_end], ids=lambda each: each.__name__)
def test_what_one_mirror_began_wrong_is_not_blamed_on_the_one_that_ended_it(
    read: Callable[[Mirrors], bytes],
) -> None:
    mirrors = mirrors_that(spoilt, honest)
    with pytest.raises(PeerError):
        read(mirrors)
    assert places(mirrors) == [1, 0]
    assert read(mirrors) == SIGNED


def test_a_small_target_comes_whole_from_one_mirror_at_once() -> None:
    assert mirrors_that(spoilt, truncated, made_up, honest).whole(TARGET) == SIGNED


def test_of_a_small_target_each_mirror_says_what_is_wrong() -> None:
    with pytest.raises(PeerError, match="No mirror can be used") as caught:
        mirrors_that(spoilt, made_up, away).whole(TARGET)
    for words in ("ended too early", "digest differs", "cannot be reached"):
        assert words in caught.value.details


@settings(deadline=None)
@given(st.lists(st.sampled_from(LIES), max_size=4), st.integers(0, 4), st.sampled_from([0, 1, CHUNK, 2500, 4999]))
def test_one_honest_mirror_is_found_however_many_are_not(lies: list[Lie], place: int, start: int) -> None:
    all_of_them = [*lies[:place], honest, *lies[place:]]
    assert mirrors_that(*all_of_them).whole(TARGET) == SIGNED
    for read in (read_to_the_end, lambda mirrors: read_by_chunks(mirrors, start)):
        mirrors = mirrors_that(*all_of_them)
        for _ in range(len(all_of_them)):
            with suppress(PeerError):
                read(mirrors)
        assert read(mirrors) == SIGNED
