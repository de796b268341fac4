"""Whatever the holder of a key signs, a node gets what was signed or an error that was foreseen; nothing else.

The keys of the timestamp and the snapshot lie on a computer that is online: whoever breaks in there must not be able
to stop the agents of all nodes.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuf.api.metadata import Snapshot

from bedplate.model.errors import PeerError, UserError
from bedplate.release.trust.layout import CHANNELS, MADE, RELEASES
from bedplate.release.trust.repository import Repository
from bedplate.testing.clock import START
from bedplate.testing.http import endless
from bedplate.testing.releases import MIRROR, VERSION
from bedplate.testing.simulator import RepositorySimulator

SIMULATOR = RepositorySimulator()
WHOLE = dict(SIMULATOR.files)
SNAPSHOT = copy.deepcopy(SIMULATOR.snapshot.to_dict())
ROLES = ("timestamp", "snapshot", "targets", RELEASES, CHANNELS, VERSION)
SIGNED: dict[str, Any] = {role: json.loads(SIMULATOR.sign(role))["signed"] for role in ROLES}
GONE = object()
TEXTS = st.sampled_from(["", "x", "*", "../..", "x" * 400, "2026-11-24T00:00:00Z", "9999-99-99T00:00:00Z", "\ud7ff"])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.sampled_from([-1, 0, 1, 2, 1 << 62, 10**4000]) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


def what_a_node_gets(role: str, signed: object) -> bytes:
    SIMULATOR.files = dict(WHOLE)
    SIMULATOR.roles["snapshot"] = Snapshot.from_dict(copy.deepcopy(SNAPSHOT))
    SIMULATOR.show_instead(role, signed)
    with tempfile.TemporaryDirectory() as folder:
        node = Repository(SIMULATOR.roots[0], Path(folder), [MIRROR], SIMULATOR.http(), lambda: START)
        release = node.release(node.channel("1.37/stable").version)
        return b"".join(node.fetch(release.payloads[0]))


def holds(role: str, signed: object) -> None:
    try:
        assert what_a_node_gets(role, signed) == b"usr" * 5000
    except (PeerError, UserError) as problem:
        assert problem.brief  # noqa: PT017  # either end is right, and nothing else is


def places(value: object, here: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield here
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*here, key))


def with_another(value: Any, place: tuple[str | int, ...], other: object) -> Any:
    if not place:
        return None if other is GONE else other
    changed = copy.deepcopy(value)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    if other is GONE:
        del inner[place[-1]]
    else:
        inner[place[-1]] = other
    return changed


@pytest.mark.parametrize("role", ROLES)
def test_what_is_signed_as_it_was_is_believed(role: str) -> None:
    assert what_a_node_gets(role, SIGNED[role]) == b"usr" * 5000


@pytest.mark.parametrize("role", ROLES)
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), ANY_JSON | st.just(GONE))
def test_anything_in_any_place_is_refused(role: str, number: int, other: object) -> None:
    every = list(places(SIGNED[role]))
    holds(role, with_another(SIGNED[role], every[number % len(every)], other))


@pytest.mark.parametrize("made", ["tomorrow", "9999-99-99T00:00:00Z", "", 5, {}])
def test_a_time_that_is_none_is_refused_and_not_kept(tmp_path: Path, made: object) -> None:
    SIMULATOR.files = dict(WHOLE)
    SIMULATOR.show_instead("timestamp", {**SIGNED["timestamp"], MADE: made})
    node = Repository(SIMULATOR.roots[0], tmp_path, [MIRROR], SIMULATOR.http(), lambda: START)
    with pytest.raises(PeerError, match="has a timestamp that was refused") as caught:
        node.refresh()
    assert f"Its {MADE} is no time" in caught.value.details
    assert not (tmp_path / "timestamp.json").exists()


def test_a_length_that_no_memory_holds_is_not_waited_for(tmp_path: Path) -> None:
    SIMULATOR.files = dict(WHOLE)
    meta = {"snapshot.json": {"version": SIGNED["snapshot"]["version"], "length": 1 << 62}}
    SIMULATOR.show_instead("timestamp", {**SIGNED["timestamp"], "meta": meta})
    http = SIMULATOR.http()
    http.lies = {".snapshot.json": endless}
    with pytest.raises(PeerError, match="sends more than it may"):
        Repository(SIMULATOR.roots[0], tmp_path, [MIRROR], http, lambda: START).refresh()
    assert http.sent < 9 << 20
