"""From a wish to the release that it means: by name, by channel, or why none is to be had."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from bedplate.model.errors import MachineError, PeerError, UserError, briefly
from bedplate.model.versions import ImageVersion
from bedplate.node.update.facts import Offer
from bedplate.release.trust.refusals import ReleaseWithdrawn
from bedplate.wire.desired import Wish
from bedplate.wire.release import Channel, Payload, Release


class Releases(Protocol):
    """The release repository, as far as a node asks it; `release.trust.repository.Repository` is one.

    All raise `PeerError` for a repository that is away or wrong; `release` also for a version that was withdrawn.
    """

    def refresh(self) -> object: ...

    def channel(self, name: str) -> Channel: ...

    def release(self, version: str) -> Release: ...

    def fetch(self, payload: Payload, *, start: int = 0) -> Iterator[bytes]: ...


def offer_for(wish: Wish, releases: Releases | None, *, channel: str, running: str) -> Offer:
    """What the wish comes to now. `channel` is the settings'; names without a minor are of the one that runs."""
    if wish.pinned:
        return Offer()
    if releases is None:
        return Offer(problem="this node belongs to no release repository")
    name = wish.channel or channel
    if not wish.version and not name:
        return Offer(problem="no version and no channel is wanted")
    try:
        releases.refresh()
        version = wish.version or releases.channel(_whole(name, running)).version
        return Offer(releases.release(version))
    except ReleaseWithdrawn as problem:
        return Offer(problem=briefly(problem), withdrawn=True)
    except (PeerError, MachineError, UserError) as problem:
        return Offer(problem=briefly(problem), unanswered=not isinstance(problem, UserError))


def _whole(name: str, running: str) -> str:
    return name if "/" in name else f"{ImageVersion.parse(running).kubernetes}/{name}"
