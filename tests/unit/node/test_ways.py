"""The cheapest payload that a node can take comes first, the full one last."""

from __future__ import annotations

from bedplate.model.digests import Sha256
from bedplate.node.update.ways import SPARE_BYTES, ways_to
from bedplate.testing.clock import START
from bedplate.wire.release import Part, PartName, Payload, PayloadKind, Release, Verity

VERSION, BASE, ELSE = (f"Bedplate-1.37-amd64-202611.{day}.0" for day in (24, 20, 10))
DIGEST = Sha256("ab" * 32)
MIB = 1 << 20


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


FULL = payload(PartName.USR, 100)
LEAN, RICH = payload(PartName.USR, 20, base=BASE, memory=8 * MIB), payload(PartName.USR, 5, base=BASE, memory=900 * MIB)
OTHERS = payload(PartName.USR, 1, base=ELSE)
LARGE = payload(PartName.USR, 101, base=BASE)
PART = Part(size=1, sha256=DIGEST, chunks=(DIGEST,))
RELEASE = Release(
    version=VERSION,
    made=START,
    kubernetes="v1.37.2",
    kernel="6.12",
    usr=PART,
    uki=PART,
    verity=Verity(root_hash=DIGEST, salt="00", uuid="7b1a4e0c-5f1d-4c5e-9d55-0f6f2c0b7ed1", signature=b"s"),
    payloads=(FULL, payload(PartName.UKI, 7), LEAN, RICH, OTHERS, LARGE),
)


def ways(*, memory_free: int, allowed: int = 4 << 30) -> tuple[Payload, ...]:
    return ways_to(RELEASE, PartName.USR, running=BASE, memory_free=memory_free, allowed=allowed)


def test_the_smallest_delta_for_which_there_is_memory_comes_first() -> None:
    assert ways(memory_free=2 << 30) == (RICH, LEAN, FULL)
    assert ways(memory_free=SPARE_BYTES + 100 * MIB) == (LEAN, FULL)
    assert ways(memory_free=2 << 30, allowed=SPARE_BYTES + 100 * MIB) == (LEAN, FULL)


def test_without_memory_the_full_payload_is_left() -> None:
    assert ways(memory_free=0) == (FULL,)


def test_parts_are_not_mixed_up() -> None:
    (uki,) = ways_to(RELEASE, PartName.UKI, running=BASE, memory_free=1 << 40, allowed=1 << 40)
    assert uki.part is PartName.UKI
