"""The cheapest payload that a node can take comes first, the full one last, and what is passed over has its reason."""

from __future__ import annotations

import msgspec
import pytest

from bedplate.model.digests import Sha256
from bedplate.node.repack.job import UNIT_BYTES
from bedplate.node.update.taking import ALLOWED_BYTES
from bedplate.node.update.ways import LEFT_BYTES, SPARE_BYTES, Room, Way, Ways, ways_to
from bedplate.release.payload.make import MEMORY, kernel_memory
from bedplate.testing.clock import START
from bedplate.wire.release import Part, PartName, Payload, PayloadKind, Release, Verity

VERSION, BASE, ELSE = (f"Bedplate-1.37-amd64-202611.{day}.0" for day in (24, 20, 10))
DIGEST, ANOTHER = Sha256("ab" * 32), Sha256("cd" * 32)
MIB = 1 << 20
KERNEL_BYTES = 57_646_880
"""What Debian's kernel 6.12.118 has unpacked."""


def payload(part: PartName, size: int, *, base: str = "", memory: int = 0) -> Payload:
    kind = PayloadKind.DELTA if base else PayloadKind.FULL
    return Payload(
        part=part,
        kind=kind,
        path=f"releases/{VERSION}/{part}{base}{memory}",
        size=size,
        sha256=DIGEST,
        frames=() if base else (size,),
        base=base,
        base_sha256=DIGEST if base else "",
        memory=memory,
    )


FULL = payload(PartName.UKI, 100)
LEAN, RICH = payload(PartName.UKI, 50, base=BASE, memory=8 * MIB), payload(PartName.UKI, 5, base=BASE, memory=700 * MIB)
OTHERS, LARGE = payload(PartName.UKI, 1, base=ELSE), payload(PartName.UKI, 101, base=BASE)
USR, USR_DELTA = payload(PartName.USR, 7), payload(PartName.USR, 3, base=BASE, memory=700 * MIB)
PART = Part(size=1, sha256=DIGEST, chunks=(DIGEST,))
RELEASE = Release(
    version=VERSION,
    made=START,
    kubernetes="v1.37.2",
    kernel="6.12",
    usr=PART,
    uki=PART,
    verity=Verity(root_hash=DIGEST, salt="00", uuid="7b1a4e0c-5f1d-4c5e-9d55-0f6f2c0b7ed1", signature=b"s"),
    payloads=(FULL, USR, LEAN, RICH, OTHERS, LARGE, USR_DELTA),
)


def ways(*, free: int, agent: int = 120 * MIB, apart: int = 1 << 30, begun: str = "") -> Ways:
    return ways_to(RELEASE, PartName.UKI, running=BASE, room=Room(free, agent, apart), begun=begun)


@pytest.mark.parametrize(
    ("given", "to_try", "why_not"),
    [
        ({"free": 700 * MIB + LEFT_BYTES}, (Way(RICH, apart=True), Way(LEAN), Way(FULL)), ""),
        (
            {"free": 700 * MIB + LEFT_BYTES - 1},
            (Way(LEAN), Way(FULL)),
            "it takes 700 MiB, 512 MiB have to stay free, and 1211 MiB are",
        ),
        (
            {"free": 2 << 30, "apart": SPARE_BYTES + 700 * MIB - 1},
            (Way(LEAN), Way(FULL)),
            "it takes 700 MiB, and 747 MiB are allowed",
        ),
        (
            {"free": 2 << 30, "begun": DIGEST},
            (Way(LEAN), Way(FULL)),
            "it was tried before and came to nothing",
        ),
        ({"free": 2 << 30, "begun": ANOTHER}, (Way(RICH, apart=True), Way(LEAN), Way(FULL)), ""),
        ({"free": 2 << 30, "agent": 2 << 30}, (Way(RICH), Way(LEAN), Way(FULL)), ""),
    ],
)
def test_a_delta_that_takes_more_than_the_agent_has_is_applied_apart_or_passed_over(
    given: dict[str, int], to_try: tuple[Way, ...], why_not: str
) -> None:
    name = RICH.path.rpartition("/")[2]
    expected = (f"{name} is passed over: {why_not}",) if why_not else ()
    assert ways(**given) == Ways(to_try, expected)  # type: ignore[arg-type] # digests are text


def test_without_memory_the_full_payload_is_left() -> None:
    found = ways(free=0)
    assert found.to_try == (Way(FULL),)
    assert len(found.passed_over) == 2


def test_deltas_against_other_versions_and_those_that_save_nothing_are_not_worth_a_word() -> None:
    words = " ".join(ways(free=0).passed_over)
    assert ELSE not in words
    assert LARGE.path.rpartition("/")[2] not in words


def test_of_usr_nothing_is_made_apart() -> None:
    found = ways_to(RELEASE, PartName.USR, running=BASE, room=Room(4 << 30, 120 * MIB, 1 << 30))
    assert found.to_try == (Way(USR),)
    assert "only what is made of a UKI is made apart" in found.passed_over[0]


@pytest.mark.parametrize(("free", "apart"), [(1_500_000_000, True), (1_100_000_000, False)])
def test_a_node_with_a_gigabyte_and_a_half_free_takes_the_small_delta_of_a_real_kernel(
    free: int, *, apart: bool
) -> None:
    small = payload(PartName.UKI, 5, base=BASE, memory=kernel_memory(KERNEL_BYTES))
    large = payload(PartName.UKI, 50, base=BASE, memory=MEMORY)
    release = msgspec.structs.replace(RELEASE, payloads=(FULL, USR, small, large))
    room = Room(free, ALLOWED_BYTES, UNIT_BYTES)
    found = ways_to(release, PartName.UKI, running=BASE, room=room)
    assert found.to_try == (*([Way(small, apart=True)] if apart else []), Way(large), Way(FULL))
