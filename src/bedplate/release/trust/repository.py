"""A repository as a node knows it: channels, releases and payloads, from mirrors of which none is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from tuf.api.metadata import TargetFile

from bedplate.host.files import write_atomically
from bedplate.host.http import Http
from bedplate.model.errors import MachineError, PeerError, UserError
from bedplate.release.trust.client import Client, Tags
from bedplate.release.trust.mirrors import Mirrors, digest_of
from bedplate.release.trust.moment import LONG_AGO, Moment, moment
from bedplate.release.trust.refusals import ANOTHER, ReleaseWithdrawn, no_mirror, of_mirror
from bedplate.wire.release import (
    WITHDRAWN,
    Channel,
    Payload,
    Release,
    Withdrawn,
    channel_path,
    decode,
    manifest_path,
)

MOST_DOCUMENT_BYTES = 16 << 20
SEEN = "seen.json"
T = TypeVar("T")


class Seen(msgspec.Struct, frozen=True):
    """The newest time that a holder of `keys` wrote. It is not taken back while these keys sign the timestamp.

    With other keys it counts no longer: whoever stole one could have written any time, and nodes have to recover from
    that (The Update Framework 1.0.33, 5.3.11, does so with versions).
    """

    made: datetime
    keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Status:
    """What is trusted now: of which mirror, until when, by which time."""

    mirror: str
    root_version: int
    version: int
    made: datetime
    expires: datetime
    moment: Moment


class Repository:
    """Trust begins with `root`, the root metadata that the image carries, and is kept in `folder`.

    `mirrors` are addresses of the same repository, in the order in which they are asked; one that fails or lies is
    asked last from then on. `built` is when the image was made, the least that the time can be.
    """

    def __init__(
        self,
        root: bytes,
        folder: Path,
        mirrors: Sequence[str],
        http: Http,
        now: Callable[[], datetime],
        *,
        built: datetime = LONG_AGO,
        from_bundle: bool = False,
    ) -> None:
        if not mirrors:
            raise UserError("No mirror is named.", resolution="Name at least one address of the repository.")
        self._root, self._folder, self._http, self._now, self._built = root, folder, http, now, built
        self.mirrors = Mirrors(http, [mirror.rstrip("/") for mirror in mirrors])
        self._from_bundle = from_bundle
        self._tags: Tags = {}
        self._client: Client | None = None

    def refresh(self) -> Status:
        """Ask what is new. Raises `PeerError` when no mirror has anything that can be trusted and is current."""
        self._client = None
        return self._trusted(_status)

    @property
    def status(self) -> Status:
        return self._trusted(_status)

    def channel(self, name: str) -> Channel:
        """Where channel `name` ("1.37/stable") points. Raises `UserError` when there is none of that name."""
        text = self._document(channel_path(name))
        if text is None:
            raise UserError(f"The repository has no channel {name}.", resolution="Look at `bedplate release list`.")
        channel = decode(text, Channel)
        _require_own(channel.name, name)
        return channel

    def withdrawn(self) -> Withdrawn:
        """All versions that are not to be installed."""
        text = self._document(WITHDRAWN)
        return decode(text, Withdrawn) if text is not None else Withdrawn()

    def release(self, version: str) -> Release:
        """The manifest of a version. Raises `ReleaseWithdrawn`, or `UserError` when it was not published."""
        found = self.withdrawn().find(version)
        if found is not None:
            raise ReleaseWithdrawn(version, found.reason)
        text = self._document(manifest_path(version))
        if text is None:
            raise UserError(f"The repository has no release {version}.", resolution="Look at `bedplate release list`.")
        release = decode(text, Release)
        _require_own(release.version, version)
        return release

    def fetch(self, payload: Payload, *, start: int = 0) -> Iterator[bytes]:
        """The bytes of a payload from `start` on, as `Mirrors.stream` gives them."""
        return self.mirrors.stream(self.target_of(payload), start)

    def target_of(self, payload: Payload) -> TargetFile:
        """What was signed of a payload: with that, its bytes may come from anywhere."""
        target = self._trusted(lambda client: client.find(payload.path))
        if target is None or (target.length, digest_of(target)) != (payload.size, payload.sha256):
            raise PeerError(f"The manifest and the signatures do not agree on {payload.path}.", resolution=ANOTHER)
        return target

    def _document(self, path: str) -> bytes | None:
        """The bytes of a small target, judged; `None` when nothing of that name was signed."""
        target = self._trusted(lambda client: client.find(path))
        if target is None:
            return None
        if target.length > MOST_DOCUMENT_BYTES:
            raise PeerError(f"{path} is larger than a document can be.", details=f"{target.length} bytes")
        return self.mirrors.whole(target)

    def _trusted(self, question: Callable[[Client], T]) -> T:
        """The answer by the first mirror that can be trusted with it.

        Where none can and this machine failed as well, that is raised: it is to be mended first.
        """
        problems, own = list[PeerError](), list[Exception]()
        for mirror in tuple(self.mirrors.order):
            try:
                return question(self._client_of(mirror))
            except (MachineError, OSError) as problem:
                own.append(problem)
            except Exception as problem:  # noqa: BLE001 — whatever one does, the next one is asked
                problems.append(of_mirror(mirror, problem))
            self._client = None
            self.mirrors.ask_last(mirror)
        raise own[0] if own else no_mirror(problems)

    def _client_of(self, mirror: str) -> Client:
        if self._client is None or self._client.mirror != mirror:
            client = Client(
                mirror,
                self._root,
                self._folder,
                http=self._http,
                clock=self._moment,
                tags=self._tags,
                from_bundle=self._from_bundle,
            )
            client.refresh()
            self._remember(client)
            self._client = client
        return self._client

    def _moment(self, keys: frozenset[str]) -> Moment:
        return moment(self._now(), seen=self._seen(keys).made, built=self._built)

    def _seen(self, keys: frozenset[str]) -> Seen:
        """An unreadable file counts as none: the image's time still stands, and the next refresh writes it anew."""
        try:
            seen = msgspec.json.decode((self._folder / SEEN).read_bytes(), type=Seen)
        except (FileNotFoundError, msgspec.MsgspecError):
            return Seen(LONG_AGO)
        return seen if seen.keys == keys else Seen(LONG_AGO)

    def _remember(self, client: Client) -> None:
        keys = client.timestamp_keys
        if client.made > self._seen(keys).made:
            seen = Seen(client.made, keys)
            write_atomically(self._folder / SEEN, msgspec.json.encode(seen, order="deterministic"))


def _status(client: Client) -> Status:
    stamp = client.timestamp
    return Status(client.mirror, client.root.version, stamp.version, client.made, stamp.expires, client.moment)


def _require_own(said: str, asked: str) -> None:
    if said != asked:
        raise PeerError(f"The document of {asked} is that of {said}.", resolution="Tell whoever signs the repository.")
