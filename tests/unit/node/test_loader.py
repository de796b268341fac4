"""The model of systemd-boot: what it lists, in which order, and how it counts. Numbers are those of the model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.node.slots.loader import (
    Entry,
    after_start,
    choice,
    compare_versions,
    entry_of,
    file_name,
    in_order,
    is_candidate,
)


@pytest.mark.parametrize(
    "order",
    [
        # the examples of systemd's own comment on strverscmp_improved, oldest first
        (
            "122.1",
            "123~rc1-1",
            "123",
            "123-a",
            "123-a.1",
            "123-1",
            "123-1.1",
            "123^post1",
            "123.a-1",
            "123.1-1",
            "123a-1",
            "124-1",
        ),
        # and of ours
        (
            "Bedplate-1.36-amd64-202612.01.0",
            "Bedplate-1.37-amd64-202611.24.0",
            "Bedplate-1.37-amd64-202611.24.2",
            "Bedplate-1.37-amd64-202611.24.10",
            "Bedplate-1.37-amd64-202612.01.0",
            "Bedplate-1.100-amd64-202601.01.0",
        ),
    ],
)
def test_versions_are_ordered(order: tuple[str, ...]) -> None:
    for a, one in enumerate(order):
        for b, other in enumerate(order):
            assert compare_versions(one, other) == (a > b) - (a < b), (one, other)


@pytest.mark.parametrize(("one", "other"), [("00123", "123"), ("123_a", "123a"), ("", ""), ("1.0", "1.0")])
def test_versions_are_the_same(one: str, other: str) -> None:
    assert compare_versions(one, other) == 0


WORDS = st.text("019.~^-ab_", max_size=8)


@given(WORDS, WORDS)
def test_the_comparison_has_two_sides(one: str, other: str) -> None:
    assert compare_versions(one, other) == -compare_versions(other, one)


@pytest.mark.parametrize(
    ("file", "listed"),
    [
        ("a.efi", True),
        ("A.EFI", True),
        (".a.efi", False),
        ("auto-a.efi", False),
        ("a.efi.tmp", False),
        ("a.conf", False),
    ],
)
def test_1_names_that_are_looked_into(file: str, listed: bool) -> None:  # noqa: FBT001 — a column of the table
    assert is_candidate(file) is listed


@pytest.mark.parametrize(
    ("file", "id_", "left", "done"),
    [
        ("V+3.efi", "V.efi", 3, 0),
        ("V+2-1.efi", "V.efi", 2, 1),
        ("V+0-3.efi", "V.efi", 0, 3),
        ("V.efi", "v.efi", None, 0),
        ("V+1+2.efi", "V+1.efi", 2, 0),
        ("V+x.efi", "v+x.efi", None, 0),
        ("V+1-.efi", "v+1-.efi", None, 0),
        ("V+1-2-3.efi", "v+1-2-3.efi", None, 0),
        ("BEDPLA~1.EFI", "bedpla~1.efi", None, 0),
    ],
)
def test_3_counters_in_names(file: str, id_: str, left: int | None, done: int) -> None:
    entry = entry_of(file, version="", root_hash="")
    assert (entry.id, entry.left, entry.done) == (id_, left, done)


@pytest.mark.parametrize(
    ("start", "series"), [(3, ["V+2-1.efi", "V+1-2.efi", "V+0-3.efi"]), (1, ["V+0-1.efi", "V+0-2.efi"])]
)
def test_5_each_start_costs_a_try(start: int, series: list[str]) -> None:
    entries: tuple[Entry, ...] = (entry_of(file_name("V", left=start), version="1", root_hash=""),)
    for expected in series:
        entries = after_start(entries)
        assert [each.file for each in entries] == [expected]


def of(*files: str) -> list[str]:
    """The order of files whose version is their name up to the counter."""
    entries = (entry_of(file, version=file.split("+")[0].removesuffix(".efi"), root_hash="") for file in files)
    return [each.file for each in in_order(entries)]


@pytest.mark.parametrize(
    "order",
    [
        ["2.efi", "1.efi"],
        ["2+3.efi", "1.efi"],
        ["2+1-2.efi", "1.efi"],
        ["1.efi", "2+0-3.efi"],
        ["1+3.efi", "2+0.efi"],
        ["2+0.efi", "1+0-3.efi"],
        ["2+0-3.efi", "1+0-3.efi"],
        ["2+3.efi", "2+2-1.efi"],
        ["2+2.efi", "2+2-1.efi"],
        ["3.efi", "2.efi", "1.efi", "4+0-1.efi"],
    ],
)
def test_4_the_first_boots(order: list[str]) -> None:
    assert of(*order) == of(*reversed(order)) == order


def test_4_another_system_on_the_esp_is_sorted_by_its_key() -> None:
    ours, theirs = (Entry(f"{key}.efi", "1", "", sort_key=key) for key in ("bedplate", "debian"))
    assert in_order([theirs, ours]) == (ours, theirs)
    without = Entry("z.efi", "9", "", sort_key="")
    assert in_order([without, theirs]) == (theirs, without)


def test_nothing_is_chosen_from_nothing() -> None:
    assert choice([]) is None


def test_a_version_that_never_gets_well_gives_way_to_the_one_before() -> None:
    entries = tuple(entry_of(each, version=each[0], root_hash="") for each in ("1.efi", "2+3.efi"))
    boots = []
    for _ in range(5):
        chosen = choice(entries)
        assert chosen is not None
        boots.append(chosen.version)
        entries = after_start(entries)
    assert boots == ["2", "2", "2", "1", "1"]


def test_an_older_version_that_never_gets_well_gives_way_to_the_one_set_back() -> None:
    entries = tuple(entry_of(each, version=each[0], root_hash="") for each in ("1+3.efi", "2+0.efi"))
    boots = []
    for _ in range(5):
        chosen = choice(entries)
        assert chosen is not None
        boots.append(chosen.version)
        entries = after_start(entries)
    assert boots == ["1", "1", "1", "2", "2"]
