"""What the loader takes for a UKI, and what it passes over."""

from __future__ import annotations

import pytest

from bedplate.model.reading import InMemory
from bedplate.testing.uki import make_uki
from bedplate.wire.uki import NotUki, Uki, read_uki, root_hash_in

HASH = "ab" * 32
UKI = make_uki("Bedplate-1.37-amd64-202611.24.0", HASH)


def test_a_uki_says_its_version_and_root_hash() -> None:
    assert read_uki(InMemory(UKI)) == Uki("bedplate", "Bedplate-1.37-amd64-202611.24.0", HASH)


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        (b"", "does not begin"),
        (b"\0\0" + UKI[2:], "does not begin"),
        (b"M\0" + UKI[2:], "does not begin"),
        (UKI[:70], "no PE header"),
        (UKI[:100], "table of sections is cut off"),
        (UKI[:600], "a section is cut off"),
        (UKI.replace(b".osrel", b".other"), "no .osrel"),
        (UKI.replace(b"ID=", b"ZZ="), "names nothing"),
    ],
)
def test_what_is_none_is_passed_over(file: bytes, problem: str) -> None:
    with pytest.raises(NotUki, match=problem):
        read_uki(InMemory(file))


@pytest.mark.parametrize(
    ("line", "found"),
    [(f"usrhash={HASH}", HASH), (f"quiet usrhash={HASH} ro\n", HASH), (f"xusrhash={HASH}", None), ("usrhash=ab", None)],
)
def test_the_root_hash_on_a_command_line(line: str, found: str | None) -> None:
    assert root_hash_in(line) == found
