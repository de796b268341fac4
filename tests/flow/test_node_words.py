"""Telling a node what to become, with a kubectl that plays its Node object: what is written, and what came of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from bedplate.cli.node_update import WAIT_SECONDS, NodeObject, rolled_back, tell, updated
from bedplate.host.run import Completed
from bedplate.local.kubectl import Kubectl
from bedplate.model.errors import PeerError, UserError
from bedplate.testing.clock import START, FakeClock
from bedplate.testing.releases import OLDER, VERSION
from bedplate.testing.report import RecordedReport
from bedplate.testing.runner import FakeRunner, completed
from bedplate.wire.desired import NOWHERE, STATUS, Line, Status, Wish, annotations_of, wish_of

NAME, AWAY = "n1", "No mirror can be used."
RUNS = Status(version=OLDER, state="Idle", since=START, doing=f"{OLDER} runs")
BUSY = replace(RUNS, state="Writing", doing="write /usr", busy=True)
BECAME = replace(RUNS, version=VERSION, state="Good", doing=f"{VERSION} runs")
WENT_BACK = replace(BECAME, state="RolledBack")


class Node:
    """What kubectl shows. Once told, the agent says one status after another, and the last one for ever."""

    def __init__(self, *says: Status, before: Status | None = RUNS, wish: Wish | None = None) -> None:
        self.annotations = {key: value for key, value in annotations_of(wish or Wish()).items() if value}
        self.says, self.before = list(says), before
        self.told = 0
        self.clock, self.report = FakeClock(), RecordedReport()

    def act(self, argv: tuple[str, ...]) -> Completed:
        if "annotate" in argv:
            self.told += 1
            for word in argv[argv.index("--overwrite") + 1 :]:
                name, equals, value = word.partition("=")
                self.annotations.pop(name.removesuffix("-"), None)
                self.annotations |= {name: value} if equals else {}
            return completed(argv)
        if NAME not in argv:
            return completed(argv, code=1, stderr=b"Error from server (NotFound): nodes not found")
        metadata = {"name": NAME, "annotations": self.annotations | self._status()}
        return completed(argv, stdout=msgspec.json.encode({"metadata": metadata}))

    def _status(self) -> dict[str, str]:
        said = self.before
        if self.told and self.says:
            said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
            said = replace(said, asked=said.asked or self.wish.asked)
        return {STATUS: msgspec.json.encode(said).decode()} if said else {}

    @property
    def wish(self) -> Wish:
        return wish_of(self.annotations) or Wish()

    def object(self, name: str = NAME) -> NodeObject:
        return NodeObject(name, Kubectl(FakeRunner(self.act), Path("kubectl"), Path("admin.conf")))

    def update(self, version: str = "", *, wait: bool = True) -> None:
        tell(self.object(), partial(updated, NAME, version), self.clock, self.report, wait=wait)

    def rollback(self) -> None:
        tell(self.object(), rolled_back, self.clock, self.report, wait=True)


def test_an_update_is_waited_for_until_the_node_has_heard_of_it_and_rests() -> None:
    node = Node(replace(RUNS, asked="before"), BUSY, BECAME)
    node.update()
    assert node.report.steps[0].notes == [
        f"Idle: {OLDER} runs",
        "Writing: write /usr",
        f"Good: {VERSION} runs",
        VERSION,
    ]


def test_a_node_that_runs_what_its_channel_points_to_has_nothing_to_do() -> None:
    node = Node(RUNS)
    node.update()
    assert node.report.outcomes() == {f"Node {NAME}": "done"}


@pytest.mark.parametrize("version", ["", VERSION], ids=["channel", "by name"])
def test_an_update_that_came_to_nothing_is_an_error_that_says_why(version: str) -> None:
    with pytest.raises(PeerError, match=f"runs {OLDER}") as raised:
        Node(BUSY, replace(RUNS, doing=AWAY)).update(version)
    assert raised.value.details == AWAY


def test_a_rollback_without_another_version_is_an_error_that_says_so() -> None:
    answer = Line(at=START, state="Idle", version=OLDER, reason=NOWHERE)
    with pytest.raises(PeerError) as raised:
        Node(replace(RUNS, history=(answer,))).rollback()
    assert raised.value.details == NOWHERE


def test_a_rollback_ends_well_on_the_other_version() -> None:
    node = Node(replace(BUSY, state="RollingBack"), WENT_BACK)
    node.rollback()
    assert node.wish.rollback


def test_a_node_that_is_not_done_in_time_is_an_error_that_says_what_it_is_about() -> None:
    node = Node(BUSY)
    with pytest.raises(PeerError) as raised:
        node.update()
    assert raised.value.details == "write /usr"
    assert node.clock.monotonic() >= WAIT_SECONDS


def test_without_waiting_the_word_is_written_and_no_more() -> None:
    node = Node(BUSY)
    node.update(VERSION, wait=False)
    assert node.wish == Wish(version=VERSION, asked=START.isoformat(timespec="milliseconds"))
    assert node.report.steps == []


@pytest.mark.parametrize("version", ["", VERSION], ids=["channel", "by name"])
def test_an_update_leaves_the_channel_that_was_wished_for(version: str) -> None:
    node = Node(BECAME, wish=Wish(channel="beta", version=OLDER, rollback=True))
    node.update(version)
    assert replace(node.wish, asked="") == Wish(channel="beta", version=version)


def test_a_rollback_leaves_the_channel_and_the_pin() -> None:
    node = Node(WENT_BACK, wish=Wish(channel="beta", pinned=True))
    node.rollback()
    assert replace(node.wish, asked="") == Wish(channel="beta", pinned=True, rollback=True)


def test_a_pinned_node_is_not_updated_until_it_is_let_go() -> None:
    node = Node(BECAME, wish=Wish(pinned=True))
    with pytest.raises(UserError, match="is pinned") as raised:
        node.update(VERSION)
    assert "--off" in raised.value.resolution
    assert (node.told, node.wish) == (0, Wish(pinned=True))


def test_a_node_that_nobody_knows_is_told_nothing() -> None:
    node = Node()
    with pytest.raises(UserError, match="There is no node n2"):
        tell(node.object("n2"), rolled_back, node.clock, node.report, wait=True)
    assert node.told == 0


def test_a_node_without_an_agent_is_told_nothing() -> None:
    node = Node(before=None)
    with pytest.raises(PeerError, match="has not told anything"):
        node.update()
    assert node.told == 0
