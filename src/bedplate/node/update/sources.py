"""Where a node takes releases from: its mirrors, and where none of them answers a bundle that was carried to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

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
    _failed: list[Repository] = field(default_factory=list)
    """Those that could not be believed, or gave no payload, since the last refresh; the last one last."""

    def refresh(self) -> Trusted:
        """Ask all in turn, until one can be believed. Raises `PeerError` when there is none."""
        self._failed.clear()
        return self._asked()

    def channel(self, name: str) -> Channel:
        return self._believed().channel(name)

    def release(self, version: str) -> Release:
        return self._believed().release(version)

    def fetch(self, payload: Payload, *, start: int = 0) -> Iterator[bytes]:
        """The bytes come from the first that is there, and after each failure from the next one.

        Once it is known what was signed, whoever has it may send it: a bundle may have what mirrors do not give, even
        one that is older than what they told.
        """
        source = None
        try:
            target = self._believed().target_of(payload)
            source = self._sender()
            yield from source.mirrors.stream(target, start)
        except (PeerError, GeneratorExit):  # a reader that stops early has found something wrong
            self._chosen = None
            if source is not None:
                self._failed = [each for each in self._failed if each is not source] + [source]
            raise

    def stamp(self) -> str:
        """What bundles are there now; another text when that has changed."""
        return "\n".join(self.media.stamp(each.place) for each in self.bundles)

    def _present(self) -> Iterator[Repository]:
        if self.mirrors is not None:
            yield self.mirrors
        yield from (each.repository for each in self.bundles if self.media.stamp(each.place))

    def _sender(self) -> Repository:
        """The first that is there and has not failed, or else the one that failed first."""
        present = list(self._present())
        untried = [each for each in present if each not in self._failed]
        in_order = untried + [each for each in self._failed if each in present]
        if not in_order:
            raise self._nothing()
        return in_order[0]

    def _asked(self) -> Trusted:
        self._chosen, problems = None, list[PeerError]()
        for each in self._present():
            try:
                self.trusted = each.refresh()
            except PeerError as problem:
                problems.append(problem)
                if each not in self._failed:
                    self._failed.append(each)
                continue
            self._chosen = each
            return self.trusted
        raise no_mirror(problems) if problems else self._nothing()

    def _believed(self) -> Repository:
        if self._chosen is None:
            self._asked()
        if self._chosen is None:
            raise self._nothing()
        return self._chosen

    def _nothing(self) -> PeerError:
        places = ", ".join(each.place for each in self.bundles)
        return PeerError("No mirror is named, and no bundle is there.", details=f"Bundles may be at: {places or '-'}")
