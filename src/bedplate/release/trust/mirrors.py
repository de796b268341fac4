"""The bytes of what was signed, from mirrors of which none is believed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tuf.api.metadata import TargetFile

from bedplate.host.http import Http
from bedplate.model.digests import Sha256
from bedplate.model.errors import PeerError
from bedplate.release.trust.layout import target_file
from bedplate.release.trust.refusals import ANOTHER, no_mirror, of_mirror


@dataclass(slots=True)
class Mirrors:
    """Addresses of the same files, in the order in which they are asked; one that fails or lies is asked last."""

    http: Http
    order: list[str]

    def whole(self, target: TargetFile) -> bytes:
        """All of a small target, judged. Each mirror is asked for all of it, so none can spoil what another sends."""
        problems = list[PeerError]()
        for mirror in tuple(self.order):
            try:
                return b"".join(self._taken(target, 0, (mirror,)))
            except PeerError as problem:
                problems.append(problem)
        raise no_mirror(problems)

    def stream(self, target: TargetFile, start: int) -> Iterator[bytes]:
        """The bytes from `start` on, as they come; never more than there are.

        From the first byte on their digest is judged at the end; from another one on, the reader's own digests have to
        judge. When a mirror fails, the next one goes on where it stopped. A reader that stops before the end has found
        something wrong, and the mirror that sent it is to blame.
        """
        return self._taken(target, start, tuple(self.order))

    def ask_last(self, mirror: str) -> None:
        self.order.remove(mirror)
        self.order.append(mirror)

    def _taken(self, target: TargetFile, start: int, mirrors: Sequence[str]) -> Iterator[bytes]:
        at, digest, problems = start, hashlib.sha256(), list[PeerError]()
        for mirror in mirrors if start < target.length else ():
            url = f"{mirror}/{target_file(target.path, digest_of(target))}"
            before = at
            try:
                with self.http.get(url, most=target.length - at, start=at) as reply:
                    for piece in reply.pieces:
                        at += len(piece)
                        digest.update(piece)
                        yield piece
            except GeneratorExit:
                self._blame(mirror, alone=before == start)
                raise
            except Exception as problem:  # noqa: BLE001 — whatever one does, the next one is asked
                problems.append(of_mirror(mirror, problem))
            else:
                if at < target.length:
                    problems.append(_short(url, at, target.length))
                elif start or digest.hexdigest() == digest_of(target):
                    return
                else:
                    problems.append(_altered(url))
            if at == target.length:
                self._blame(mirror, alone=before == start)
                break
            self.ask_last(mirror)
        if problems:
            raise no_mirror(problems)

    def _blame(self, mirror: str, *, alone: bool) -> None:
        """For what turned out wrong: a mirror that sent all of it is asked last.

        Behind one that sent a part before it, which is among the last by now, it is asked first: then it is judged by
        what is its own. So one honest mirror is found, however many are not.
        """
        self.order.remove(mirror)
        self.order.insert(len(self.order) if alone else 0, mirror)


def digest_of(target: TargetFile) -> Sha256:
    digest = target.hashes.get("sha256")
    if digest is None:
        raise PeerError(f"{target.path} is signed without a SHA-256.")
    return Sha256(digest)


def _altered(url: str) -> PeerError:
    return PeerError(f"{url} is not what was signed: its digest differs.", resolution=ANOTHER)


def _short(url: str, at: int, size: int) -> PeerError:
    return PeerError(f"{url} ended too early.", details=f"{at} of {size} bytes came.", resolution=ANOTHER)
