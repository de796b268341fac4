"""The documents of a release: what fits together is read as it was written, what does not is refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from bedplate.model.digests import Sha256
from bedplate.model.errors import PeerError
from bedplate.wire.release import (
    CHUNK_BYTES,
    Channel,
    Part,
    PartName,
    Payload,
    PayloadKind,
    Release,
    Verity,
    Withdrawal,
    Withdrawn,
    decode,
    encode,
)

VERSION = "Bedplate-1.37-amd64-202611.24.0"
OLDER = "Bedplate-1.37-amd64-202611.20.0"
DIGEST = Sha256("ab" * 32)
WHEN = datetime(2026, 11, 24, tzinfo=UTC)


def part(size: int = CHUNK_BYTES + 1) -> Part:
    return Part(size=size, sha256=DIGEST, chunks=(DIGEST,) * -(-size // CHUNK_BYTES))


def full(name: PartName, **changes: Any) -> Payload:
    values = {"part": name, "kind": PayloadKind.FULL, "path": f"releases/{VERSION}/{name}.zst", "size": 30}
    return Payload(**{**values, "sha256": DIGEST, "frames": (10, 20), **changes})


def delta(**changes: Any) -> Payload:
    values = {"part": PartName.USR, "kind": PayloadKind.DELTA, "path": f"releases/{VERSION}/usr.delta", "size": 3}
    return Payload(**{**values, "sha256": DIGEST, "base": OLDER, "base_sha256": DIGEST, **changes})


def release(**changes: Any) -> Release:
    values: Mapping[str, Any] = {
        "version": VERSION,
        "made": WHEN,
        "kubernetes": "v1.37.2",
        "kernel": "6.12.118+deb13-amd64",
        "usr": part(),
        "uki": part(),
        "verity": Verity(root_hash=DIGEST, salt="00", uuid="7b1a4e0c-5f1d-4c5e-9d55-0f6f2c0b7ed1", signature=b"sig"),
        "payloads": (full(PartName.USR), full(PartName.UKI), delta()),
    }
    return Release(**{**values, **changes})


DOCUMENTS = [
    release(),
    Channel(name="1.37/stable", version=VERSION, since=WHEN, history=(OLDER,)),
    Withdrawn(versions=(Withdrawal(version=OLDER, reason="leaks", at=WHEN),)),
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: type(document).__name__)
def test_what_was_written_is_read(document: Release | Channel | Withdrawn) -> None:
    assert decode(encode(document), type(document)) == document


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"version": "7"}, "not the version of a node image"),
        ({"format": 2}, "its format is 2"),
        ({"payloads": (full(PartName.USR),)}, "not one full payload for uki"),
        ({"payloads": (*release().payloads, full(PartName.UKI))}, "not one full payload for uki"),
        ({"payloads": (*release().payloads, delta(path="releases/other/usr.delta"))}, "another release's"),
        ({"usr": part(size=1)}, "another number of frames"),
    ],
)
def test_a_release_that_does_not_fit_together_is_refused(changes: Mapping[str, Any], why: str) -> None:
    text = msgspec.json.encode({**msgspec.json.decode(encode(release())), **msgspec.to_builtins(changes)})
    with pytest.raises(PeerError) as caught:
        decode(text, Release)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: part(size=0),
        lambda: Part(size=1, sha256=DIGEST, chunks=()),
        lambda: Part(size=1, sha256=DIGEST, chunks=(Sha256("no"),)),
        lambda: full(PartName.USR, frames=(10,)),
        lambda: full(PartName.USR, base=OLDER),
        lambda: delta(base_sha256=""),
        lambda: Channel(name="1.37/../stable", version=VERSION, since=WHEN),
        lambda: Channel(name="1.36/stable", version=VERSION, since=WHEN),
        lambda: Withdrawn(versions=(Withdrawal(version=OLDER, reason="", at=WHEN),) * 2),
    ],
)
def test_values_that_contradict_each_other_cannot_be_made(make: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        make()


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(PeerError, match="document cannot be used"):
        decode(b'{"versions": [], "more": 1}', Withdrawn)


def test_a_withdrawn_version_is_found() -> None:
    withdrawn = Withdrawn(versions=(Withdrawal(version=OLDER, reason="leaks", at=WHEN),))
    found = withdrawn.find(OLDER)
    assert found is not None
    assert found.reason == "leaks"
    assert withdrawn.find(VERSION) is None
