"""Tables fit into a terminal, and lose nothing by it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bedplate.cli.columns import GAP, LEAST, align, fit, fold

POOLS = [
    ("Name", "KubernetesVersion", "Count", "ProvisioningState", "NodeImageVersion"),
    ("system", "1.37.2", "2", "Succeeded", "Bedplate-1.37-amd64-202611.24.0"),
]
FINDINGS = [
    ("", "About", "Found", "What to do"),
    ("warning", "KVM", "Machines are emulated, so they boot slowly.", "Allow it in the firmware of this computer."),
]
words = st.text(st.sampled_from("abcXYZ019-/., "), max_size=60).map(str.strip)


def folded(rows: list[tuple[str, ...]], width: int) -> list[str]:
    return align(fit(rows, width, heads=True)).splitlines()


def test_what_fits_is_left_alone() -> None:
    assert fit(POOLS, 90, heads=True) == POOLS


def test_headings_are_folded_first() -> None:
    assert folded(POOLS, 82) == [
        "Name    Kubernetes  Count  Provisioning  NodeImageVersion",
        "        Version            State",
        "system  1.37.2      2      Succeeded     Bedplate-1.37-amd64-202611.24.0",
    ]


def test_then_what_has_spaces() -> None:
    assert folded(FINDINGS, 60) == [
        "         About  Found              What to do",
        "warning  KVM    Machines are       Allow it in the",
        "                emulated, so they  firmware of this",
        "                boot slowly.       computer.",
    ]


def test_then_words_at_their_marks() -> None:
    assert folded(POOLS, 60)[2:] == [
        "system  1.37.2      2      Succeeded     Bedplate-1.37-",
        "                                         amd64-202611.24.0",
    ]


def test_at_last_anywhere() -> None:
    digest = "ab" * 32
    assert fold(f"roothash={digest}", 20) == ["roothash=", *(digest[at : at + 20] for at in (0, 20, 40, 60))]


def test_a_cell_without_text_stays_a_cell() -> None:
    assert fold("", 5) == [""]


@given(st.lists(st.tuples(words, words, words), min_size=1, max_size=4), st.integers(3 * LEAST + 2 * GAP, 100))
def test_every_line_fits_and_no_character_is_lost(rows: list[tuple[str, ...]], width: int) -> None:
    fitted = fit(rows, width, heads=True)
    assert all(len(line) <= width for line in align(fitted).splitlines())
    for column in range(3):
        before = "".join(row[column] for row in rows).replace(" ", "")
        assert "".join(row[column] for row in fitted).replace(" ", "") == before
