"""Where a node takes releases from: its mirrors, and where none of them answers a bundle that was carried to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bedplate.host.media import Media
from bedplate.model.errors import PeerError
from bedplate.release.trust.refusals import no_mirror
from bedplate.release.trust.repository import Repository
from bedplate.release.trust.repository import Status as Trusted
from bedplate.wire.release import Channel, Payload, Release


@dataclass(frozen=True, slots=True)
class Bundle:
    """A place where a bundle may lie, and the repository that would be in it."""

    place: str
    repository: Repository


@dataclass(slots=True)
class Sources:
    """Implements `bedplate.node.update.offers.Releases`. `trusted` is what the last refresh found out, and of whom.

    All have one folder for what was seen, so that none can take back what another one told.
    """

    mirrors: Repository | None
    bundles: Sequence[Bundle]
    media: Media
    trusted: Trusted | None = None
    _chosen: Repository | None = None

    def refresh(self) -> Trusted:
        """Ask all in turn, until one can be believed. Raises `PeerError` when there is none."""
        self._chosen, problems = None, list[PeerError]()
        for each in self._present():
            try:
                self.trusted = each.refresh()
            except PeerError as problem:
                problems.append(problem)
                continue
            self._chosen = each
            return self.trusted
        raise no_mirror(problems) if problems else self._nothing()

    def channel(self, name: str) -> Channel:
        return self._believed().channel(name)

    def release(self, version: str) -> Release:
        return self._believed().release(version)

    def fetch(self, payload: Payload, *, start: int = 0) -> Iterator[bytes]:
        """When it fails, all are asked anew before the next attempt: a bundle may have what mirrors do not give."""
        try:
            yield from self._believed().fetch(payload, start=start)
        except PeerError:
            self._chosen = None
            raise

    def stamp(self) -> str:
        """What bundles are there now; another text when that has changed."""
        return "\n".join(self.media.stamp(each.place) for each in self.bundles)

    def _present(self) -> Iterator[Repository]:
        if self.mirrors is not None:
            yield self.mirrors
        yield from (each.repository for each in self.bundles if self.media.stamp(each.place))

    def _believed(self) -> Repository:
        if self._chosen is None:
            self.refresh()
        if self._chosen is None:
            raise self._nothing()
        return self._chosen

    def _nothing(self) -> PeerError:
        places = ", ".join(each.place for each in self.bundles)
        return PeerError("No mirror is named, and no bundle is there.", details=f"Bundles may be at: {places or '-'}")
