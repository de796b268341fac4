"""Releases as an agent gets them, from memory: their files, and what becomes of the connection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import zstandard

from bedplate.host.http import broken
from bedplate.model.digests import sha256
from bedplate.model.errors import PeerError
from bedplate.release.trust.refusals import ReleaseWithdrawn
from bedplate.testing.clock import FakeClock
from bedplate.wire.release import Channel, Payload, Release


@dataclass
class FakeReleases:
    """Implements `bedplate.node.update.offers.Releases`. `away` is that no mirror answers.

    `breaks_after` is how many bytes of an answer come before the connection breaks. It does too where `files` has less
    than was signed.
    """

    releases: dict[str, Release] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    channels: dict[str, str] = field(default_factory=dict)
    withdrawn: dict[str, str] = field(default_factory=dict)
    away: bool = False
    breaks_after: int | None = None
    fetched: int = 0
    """Bytes of payloads that were sent."""

    def refresh(self) -> None:
        if self.away:
            raise PeerError("No mirror can be used.")

    def channel(self, name: str) -> Channel:
        self.refresh()
        if name not in self.channels:
            raise PeerError(f"The repository has no channel {name}.")
        return Channel(name=name, version=self.channels[name], since=FakeClock().now())

    def release(self, version: str) -> Release:
        self.refresh()
        if version in self.withdrawn:
            raise ReleaseWithdrawn(version, self.withdrawn[version])
        return self.releases[version]

    def fetch(self, payload: Payload, *, start: int = 0) -> Iterator[bytes]:
        self.refresh()
        data = self.files[payload.path][start:]
        sent = data[: self.breaks_after]
        self.fetched += len(sent)
        yield sent
        if start + len(sent) < payload.size:
            raise broken(payload.path, "connection reset")


def packed_payload(payload: Payload, data: bytes) -> tuple[Payload, bytes]:
    """The full payload of a part of one chunk, as a node takes it."""
    frame = zstandard.ZstdCompressor().compress(data)
    return msgspec.structs.replace(payload, size=len(frame), sha256=sha256(frame), frames=(len(frame),)), frame
