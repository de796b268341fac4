"""One look at one mirror: python-tuf's client workflow, with our time, our files, our connections and our words.

The workflow (The Update Framework 1.0.33, section 5) is the library's. Its `Updater` is made for each look, and four
things of it are replaced here: the time, how files are kept, how bytes are fetched, and what errors say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import cast

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Root, TargetFile, Targets, Timestamp
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from bedplate.host.files import write_atomically
from bedplate.host.http import Http, NotThere
from bedplate.model.errors import PeerError
from bedplate.release.trust.layout import BUNDLE, CHANNELS, METADATA, RELEASES
from bedplate.release.trust.moment import Moment, made_of
from bedplate.release.trust.refusals import refusal, unsigned

Clock = Callable[[frozenset[str]], Moment]
"""The time that counts where these keys sign the timestamp."""
Tags = dict[str, tuple[str, bytes]]
"""What was last had from an address that changes, with its ETag."""
CONFIG = UpdaterConfig(max_root_rotations=256, max_delegations=4, targets_max_length=8 << 20)


class Fetcher(FetcherInterface):
    """Metadata over `Http`. What changes under one address, the timestamp, is asked for by its ETag."""

    def __init__(self, http: Http, tags: Tags) -> None:
        self._http, self._tags = http, tags

    def download_bytes(self, url: str, max_length: int) -> bytes:
        tag, known = self._tags.get(url, ("", b""))
        most = min(max_length, CONFIG.targets_max_length)  # a length may be signed that no memory holds
        try:
            with self._http.get(url, most=most, etag=tag) as reply:
                data = known if reply.unchanged else b"".join(reply.pieces)
        except NotThere as problem:
            raise DownloadHTTPError(problem.details, 404) from problem
        if reply.etag and url.endswith("/timestamp.json"):
            self._tags[url] = (reply.etag, data)
        return data

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield self.download_bytes(url, CONFIG.targets_max_length)


class Client(Updater):
    """What `mirror` says, as far as it can be trusted from `root` on. Every refusal is a `PeerError`.

    `folder` keeps what was trusted last, so that it is not taken back: rollback is judged by it. `from_bundle` tells
    that a timestamp made for a bundle is welcome.
    """

    def __init__(
        self, mirror: str, root: bytes, folder: Path, *, http: Http, clock: Clock, tags: Tags, from_bundle: bool
    ) -> None:
        self.mirror = mirror
        self._clock, self._from_bundle = clock, from_bundle
        self._last = ("root", root)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._in_our_words():
            super().__init__(
                str(folder), f"{mirror}/{METADATA}", fetcher=Fetcher(http, tags), config=CONFIG, bootstrap=root
            )
        self.moment = clock(self.timestamp_keys)

    def refresh(self) -> None:
        with self._in_our_words():
            super().refresh()

    def find(self, path: str) -> TargetFile | None:
        with self._in_our_words():
            return self.get_targetinfo(path)

    @property
    def made(self) -> datetime:
        """When the timestamp was signed, by the signer's clock."""
        return made_of(self.timestamp)

    @property
    def root(self) -> Root:
        return self._trusted_set.root

    @property
    def timestamp(self) -> Timestamp:
        return self._trusted_set.timestamp

    @property
    def timestamp_keys(self) -> frozenset[str]:
        """Who may say what time it is, by the newest root so far."""
        return frozenset(self.root.roles[Timestamp.type].keyids)

    def _load_root(self) -> None:
        """Then hand in the time.

        The set of trusted metadata reads the clock once, when it is made, and judges every expiry by this value. Roots
        before the last may be expired, and the last is judged with the timestamp, so nothing was judged by it yet. Thus
        the time can be replaced here, without another clock for the whole process.
        """
        super()._load_root()
        self.moment = self._clock(self.timestamp_keys)
        self._trusted_set.reference_time = self.moment.at

    def _load_timestamp(self) -> None:
        """The one that is kept may be that of a bundle. As a server's own it is refused as well."""
        super()._load_timestamp()
        self._judge_timestamp()

    def _persist_metadata(self, rolename: str, data: bytes) -> None:
        """Nothing that is refused is kept: the library writes before it hands back."""
        if rolename == Timestamp.type:
            self._judge_timestamp()
        super()._persist_metadata(rolename, data)

    def _judge_timestamp(self) -> None:
        made_of(self.timestamp)
        if not self._from_bundle and self.timestamp.unrecognized_fields.get(BUNDLE):
            raise PeerError(
                f"{self.mirror} stands still: it shows the timestamp of a bundle as its own (freeze).",
                resolution="A bundle is valid for long because it is carried by hand; a server has to be current.",
            )

    def _persist_file(self, filename: str, data: bytes) -> None:
        """As the library does, and safe against a power cut: an emptied timestamp would forget what was seen."""
        write_atomically(Path(filename), data)

    def _download_metadata(self, rolename: str, length: int, version: int | None = None) -> bytes:
        self._last = (rolename, b"")
        data = super()._download_metadata(rolename, length, version)
        self._last = (rolename, data)
        return data

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except UnsignedMetadataError as problem:
            role, data = self._last
            raise unsigned(self.mirror, role, data, self._delegator(role), problem) from problem
        except (RepositoryError, DownloadError) as problem:
            raise refusal(self.mirror, self._last[0], problem, self.moment) from problem

    def _delegator(self, role: str) -> Root | Targets:
        parents: dict[str, str] = dict.fromkeys(("root", "timestamp", "snapshot", "targets"), Root.type)
        parents |= dict.fromkeys((RELEASES, CHANNELS), Targets.type)
        return cast("Root | Targets", self._trusted_set[parents.get(role, RELEASES)])
