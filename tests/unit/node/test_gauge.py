"""How far an update has come is told often enough to be believed, and seldom enough to cost nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bedplate.model.digests import sha256
from bedplate.model.errors import MachineError
from bedplate.node.apiserver import OwnNode
from bedplate.node.update.gauge import Gauge, how_far
from bedplate.node.update.status import FILE, Publisher
from bedplate.testing.clock import FakeClock
from bedplate.testing.network import FakePeers
from bedplate.wire.desired import Status
from bedplate.wire.release import CHUNK_BYTES, Part

CHUNKS = [bytes([number]) * CHUNK_BYTES for number in range(4)]
PART = Part(size=4 * CHUNK_BYTES, sha256=sha256(b""), chunks=tuple(sha256(chunk) for chunk in CHUNKS))


def taking(clock: FakeClock, seconds: float, *, first: int = 0) -> list[str]:
    """What is told while each chunk from `first` on takes so many seconds."""
    told: list[str] = []

    def slowly() -> Iterator[bytes]:
        for chunk in CHUNKS[first:]:
            clock.sleep(seconds)
            yield chunk

    assert list(Gauge(clock, told.append).passing(PART, slowly(), first=first)) == CHUNKS[first:]
    return told


def test_chunks_that_are_quick_are_not_told_of() -> None:
    assert taking(FakeClock(), 1) == []


def test_chunks_that_are_slow_are_told_with_rate_and_remaining_time() -> None:
    assert taking(FakeClock(), 5) == [
        "25 % of 67 MB, 3.4 MB/s, 15 s left",
        "50 % of 67 MB, 3.4 MB/s, 10 s left",
        "75 % of 67 MB, 3.4 MB/s, 5 s left",
        "100 % of 67 MB, 3.4 MB/s, 0 s left",
    ]


def test_what_was_there_before_is_not_counted_as_fast() -> None:
    assert taking(FakeClock(), 5, first=2)[0] == "75 % of 67 MB, 3.4 MB/s, 5 s left"


def test_the_words_are_those_of_one_moment() -> None:
    assert how_far(30_000_000, 120_000_000, 1_500_000) == "25 % of 120 MB, 1.5 MB/s, 60 s left"


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(OwnNode("n1", FakePeers(), tmp_path), tmp_path, list[str]().append)


def test_progress_stands_behind_what_is_being_done_and_goes_with_the_next_step(
    publisher: Publisher, tmp_path: Path
) -> None:
    def told() -> str:
        return msgspec.json.decode((tmp_path / FILE).read_bytes(), type=Status).doing

    publisher.publish(Status(version="v", state="Writing", since=None, doing="write /usr"))
    publisher.progress("25 %")
    publisher.progress("50 %")
    assert told() == "write /usr (50 %)"
    publisher.publish(Status(version="v", state="Sealing", since=None, doing="seal"))
    assert told() == "seal"


def test_progress_that_cannot_be_told_does_not_stop_the_work(publisher: Publisher, tmp_path: Path) -> None:
    publisher.publish(Status(version="v", state="Writing", since=None, doing="write /usr"))
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    with pytest.raises((OSError, MachineError)):
        publisher.publish(Status(version="v", state="Sealing", since=None, doing="seal"))
    publisher.progress("25 %")
