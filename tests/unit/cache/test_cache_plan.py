"""What goes from the cache is what nothing speaks for, and every verdict has its reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bedplate.cli.cache import COLUMNS, age, rows
from bedplate.cli.output import as_table
from bedplate.image.cache.plan import Entry, Facts, Kind, Verdict, make_plan
from bedplate.testing.clock import START

GOLDEN = Path(__file__).parents[2] / "golden/cache"
CACHE = Path("/cache")


def entry(name: str, *, days: float = 30, kind: Kind = Kind.IMAGES, **more: Any) -> Entry:
    return Entry(kind, name, (CACHE / name,), 640_300_000, START - timedelta(days=days), **more)


OLD = entry("images/old", group="images")
NEW = entry("images/new", group="images", days=1)
NOTHING_KNOWN = Facts(START)


def verdicts(*entries: Entry, facts: Facts = NOTHING_KNOWN, everything: bool = False) -> dict[str, tuple[bool, str]]:
    plan = make_plan(entries, facts, everything=everything)
    return {verdict.entry.name: (verdict.stays, verdict.reason) for verdict in plan}


def on_old(facts: Facts, *, everything: bool = False) -> tuple[bool, str]:
    return verdicts(OLD, NEW, facts=facts, everything=everything)["images/old"]


def test_the_newest_of_a_group_stays_and_older_ones_go() -> None:
    assert verdicts(OLD, NEW) == {
        "images/old": (False, "nothing here needs it"),
        "images/new": (True, "the newest of images"),
    }


@pytest.mark.parametrize("everything", [False, True])
def test_what_a_disk_leans_on_stays_whatever_is_asked(*, everything: bool) -> None:
    facts = Facts(START, used={CACHE / "images/old/disk.raw": "the disk of system-1 leans on it"})
    assert on_old(facts, everything=everything) == (True, "the disk of system-1 leans on it")


@pytest.mark.parametrize("path", ["images/older/disk.raw", "images", "tools/old"])
def test_a_use_of_something_else_keeps_nothing(path: str) -> None:
    stays, _ = on_old(Facts(START, used={CACHE / path: "somebody"}))
    assert not stays


@pytest.mark.parametrize("everything", [False, True])
def test_nothing_goes_of_a_kind_that_is_being_made(*, everything: bool) -> None:
    facts = Facts(START, busy={Kind.IMAGES: "Process 7 (building an image) is in the way."})
    assert on_old(facts, everything=everything) == (True, "Process 7 (building an image) is in the way.")


def test_what_this_checkout_would_take_stays() -> None:
    facts = Facts(START, wanted=frozenset({CACHE / "images/old"}))
    assert on_old(facts) == (True, "this checkout would take it")


def test_what_was_made_just_now_stays_for_whoever_made_it() -> None:
    young = replace(OLD, made=START - timedelta(minutes=59))
    newest = replace(NEW, made=START)
    assert verdicts(young, newest)["images/old"] == (True, "made within the last hour")


def test_what_is_lost_to_all_goes_though_it_is_the_newest() -> None:
    venv = entry("venvs/a", kind=Kind.VENVS, group="/home/me/gone", lost="/home/me/gone is gone")
    assert verdicts(venv)["venvs/a"] == (False, "/home/me/gone is gone")


def test_what_a_killed_process_left_goes_though_it_is_young() -> None:
    left = replace(entry("images/.old.gone", days=0), unfinished=True)
    assert verdicts(left)["images/.old.gone"] == (False, "left by somebody who was killed")


def test_what_is_worth_keeping_goes_with_everything_only() -> None:
    go = entry("go/build", kind=Kind.GO, worth="12 minutes to do again")
    assert verdicts(go)["go/build"] == (True, "12 minutes to do again")
    assert not verdicts(go, everything=True)["go/build"][0]


def test_what_nobody_here_knows_stays_even_then() -> None:
    other = entry("future", kind=Kind.OTHER)
    assert verdicts(other, everything=True)["future"] == (True, "not known to this version of Bedplate")


FACTORS = {
    "used": Facts(START, used={CACHE / "images/old": "used"}),
    "busy": Facts(START, busy={Kind.IMAGES: "busy"}),
}


@pytest.mark.parametrize(
    ("safe", "unfinished", "lost", "everything", "young"),
    list(product(FACTORS, (False, True), ("", "lost"), (False, True), (False, True))),
)
def test_nothing_outweighs_a_use(safe: str, *, unfinished: bool, lost: str, everything: bool, young: bool) -> None:
    made = START if young else OLD.made
    subject = replace(OLD, unfinished=unfinished, lost=lost, made=made)
    assert verdicts(subject, NEW, facts=FACTORS[safe], everything=everything)["images/old"] == (True, safe)


def plan_of_all_kinds() -> tuple[Verdict, ...]:
    used = {
        CACHE / "images/b/disk.raw": "the disk of system-1 in cluster local leans on it",
        CACHE / "components/etcd/x/bin/etcd": "cluster local is made of it",
    }
    entries = (
        entry("images/c", group="images", days=0.1, about="Bedplate-1.37-amd64-202611.24.0"),
        entry("images/a", group="images", days=9, about="Bedplate-1.37-amd64-202611.12.0"),
        entry("images/b", group="images", days=3, about="Bedplate-1.37-amd64-202611.20.0"),
        entry("components/etcd/x", kind=Kind.COMPONENTS, group="components/etcd", days=40),
        entry("go/build", kind=Kind.GO, worth="what is compiled: 12 minutes to do again"),
        entry("venvs/k", kind=Kind.VENVS, group="/home/me/b", about="/home/me/b", lost="/home/me/b is gone"),
        replace(entry("tools/.t.gone", kind=Kind.TOOLS, days=0), unfinished=True),
    )
    return make_plan(entries, Facts(START, used=used, wanted=frozenset({CACHE / "images/c"})))


def test_the_list_reads_so() -> None:
    text = as_table(rows(plan_of_all_kinds(), START), COLUMNS | {"Then": "then"})
    assert text == (GOLDEN / "list.txt").read_text()


@pytest.mark.parametrize(
    ("passed", "told"),
    [
        (timedelta(seconds=-5), "0 min"),
        (timedelta(minutes=59), "59 min"),
        (timedelta(hours=23, minutes=59), "23 h"),
        (timedelta(days=400), "400 d"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(passed: timedelta, told: str) -> None:
    assert age(passed) == told
