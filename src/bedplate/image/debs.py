"""The locked packages as files: fetched once, checked by digest, and offered to installers as their only source."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bedplate.host.download import Downloader, Progress
from bedplate.host.files import file_sha256, remove_leftovers, space_for
from bedplate.host.places import Places
from bedplate.host.report import Report, Step
from bedplate.image.lock import Lock, Locked
from bedplate.image.mirrors import SNAPSHOT, site
from bedplate.model.errors import MachineError, PeerError

AT_ONCE = 6
AR_MAGIC, AR_HEAD = b"!<arch>\n", 60


@dataclass(frozen=True, slots=True)
class Debs:
    """The packages of `lock` below `folder`, each named by its digest."""

    lock: Lock
    folder: Path

    def path(self, package: Locked) -> Path:
        return self.folder / f"{package.sha256}.deb"

    @contextmanager
    def repository(self) -> Iterator[Path]:
        """A local apt repository (flat, sources.list(5)) of these packages and no others, for one block."""
        remove_leftovers(self.folder / "repository")
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".repository.") as name:
            repository = Path(name)
            repository.chmod(0o755)
            for package in self.lock.packages:
                os.link(self.path(package), repository / package.file)
            stanzas = [stanza(package, control(self.path(package))) for package in self.lock.packages]
            (repository / "Packages").write_text("\n".join(stanzas))
            yield repository


@dataclass(frozen=True, slots=True)
class Supply:
    """Where packages come from and where they are kept."""

    mirror: str
    downloader: Downloader
    places: Places
    report: Report

    def have(self, lock: Lock) -> Debs:
        """All packages of the lock, fetched where the cache lacks them or holds other bytes."""
        debs = Debs(lock, self.places.cache / "downloads/debs")
        debs.folder.mkdir(parents=True, exist_ok=True)
        missing = [package for package in lock.packages if not is_whole(debs.path(package), package)]
        if missing:
            with self.report.step(f"Get {len(missing)} Debian packages") as step, space_for(debs.folder):
                self._fetch_all(debs, missing, step)
        return debs

    def _fetch_all(self, debs: Debs, missing: Sequence[Locked], step: Step) -> None:
        total = sum(package.size for package in missing)
        sites = (self.mirror, f"{SNAPSHOT}/debian/{debs.lock.snapshot}")

        def one(package: Locked) -> None:
            fetch(package, debs.path(package), sites, self.downloader, lambda n, _: step.advance(n, total=total))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            fetches = [pool.submit(one, package) for package in missing]
            try:
                for each in fetches:
                    each.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def is_whole(path: Path, package: Locked) -> bool:
    return path.is_file() and file_sha256(path) == package.sha256


def fetch(package: Locked, path: Path, sites: Sequence[str], downloader: Downloader, progress: Progress) -> None:
    """Put one package at `path`, whole or not at all, from the first site that has the very bytes that are locked."""
    problems = []
    for mirror in sites:
        url = f"{site(mirror, package.archive)}/{package.path.partition('/')[2]}".replace("+", "%2b")
        part = path.with_suffix(".part")
        try:
            found = downloader.download(url, part, progress=progress)
            if found == package.sha256:
                part.replace(path)
                return
            problems.append(f"{url} has SHA-256 {found}, locked is {package.sha256}")
        except PeerError as problem:
            problems.append(f"{problem.brief} {problem.details}")
        finally:
            part.unlink(missing_ok=True)
    raise PeerError(
        f"{package.name} {package.version} is locked, but could not be fetched.",
        details="\n".join(problems),
        resolution="Check the connection. Where mirrors have moved on: `bedplate image lock` takes what is current now,"
        "\nand --mirror names an archive that still has it.",
    )


def control(path: Path) -> str:
    """The control file of a binary package (deb(5)): an ar archive whose second member is control.tar."""
    try:
        with path.open("rb") as opened, tarfile.open(fileobj=io.BytesIO(_control_member(opened.read(1 << 20)))) as tar:
            member = next(item for item in tar if item.name.removeprefix("./") == "control")
            content = tar.extractfile(member)
            return content.read().decode() if content else ""
    except (tarfile.TarError, StopIteration, ValueError, EOFError) as problem:
        raise MachineError(
            f"{path} is not a Debian package.", details=str(problem), resolution="Remove it and try again."
        ) from problem


def _control_member(data: bytes) -> bytes:
    if not data.startswith(AR_MAGIC):
        raise ValueError("no ar archive")
    offset = len(AR_MAGIC)
    while offset < len(data):
        head = data[offset : offset + AR_HEAD]
        size = int(head[48:58])
        offset += AR_HEAD
        if head.startswith(b"control.tar"):
            return data[offset : offset + size]
        offset += size + size % 2
    raise ValueError("no control.tar")


def stanza(package: Locked, text: str) -> str:
    """One paragraph of a Packages file."""
    return f"{text.strip()}\nFilename: ./{package.file}\nSize: {package.size}\nSHA256: {package.sha256}\n"
