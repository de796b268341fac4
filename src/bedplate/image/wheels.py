"""Python packages for another Python than the one that runs this: wheels by the names and digests in uv.lock."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bedplate.host.download import Downloader
from bedplate.host.files import folder_in_one_step
from bedplate.host.report import Step
from bedplate.model.digests import Sha256
from bedplate.model.errors import PeerError, UserError


class Source(msgspec.Struct, frozen=True):
    """One file of a package: where it is, and its digest as `sha256:HEX`."""

    url: str
    hash: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def sha256(self) -> Sha256:
        return Sha256(self.hash.removeprefix("sha256:"))


class Dependency(msgspec.Struct, frozen=True):
    """`marker` says on which systems it is needed (PEP 508); none of those that concern us has one."""

    name: str
    marker: str = ""


class Package(msgspec.Struct, frozen=True):
    name: str
    version: str
    dependencies: tuple[Dependency, ...] = ()
    wheels: tuple[Source, ...] = ()


class Lock(msgspec.Struct, frozen=True):
    """What of uv.lock is needed here."""

    package: tuple[Package, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """The Python that a wheel has to fit, as wheel file names say it (PEP 425): `cp313`."""

    python: str
    machine: str = "x86_64"

    def accepts(self, file: str) -> bool:
        """Whether a wheel of that file name runs on it."""
        python, abi, platform = file.removesuffix(".whl").split("-")[-3:]
        compiled = (python == self.python and abi == self.python) or (abi == "abi3" and self._is_older(python))
        portable = "py3" in python.split(".") and abi == "none"
        linux = any(each.startswith("manylinux") and each.endswith(self.machine) for each in platform.split("."))
        return (compiled or portable) and (linux or platform == "any")

    def _is_older(self, python: str) -> bool:
        """The stable ABI of one Python 3 is that of all later ones (PEP 384)."""
        minors = [each.removeprefix("cp3") for each in (python, self.python)]
        return all(map(str.isdigit, minors)) and int(minors[0]) <= int(minors[1])


def choose_wheels(lock: bytes, wanted: Iterable[str], target: Target) -> tuple[Source, ...]:
    """The wheels of the packages `wanted` and of what they need, by name. Raises `UserError` where one is missing."""
    packages = {package.name: package for package in _read(lock).package}
    chosen: dict[str, Source] = {}
    todo = list(wanted)
    while todo:
        name = todo.pop()
        if name in chosen:
            continue
        package = packages.get(name)
        fitting = [wheel for wheel in package.wheels if target.accepts(wheel.name)] if package else []
        if package is None or not fitting:
            raise UserError(
                f"uv.lock has no wheel of {name} for {target.python} on {target.machine}.",
                resolution="Choose another version in pyproject.toml, then run `uv lock`.",
            )
        chosen[name] = fitting[0]
        todo += [each.name for each in package.dependencies if not each.marker]
    return tuple(chosen[name] for name in sorted(chosen))


def _read(lock: bytes) -> Lock:
    try:
        return msgspec.toml.decode(lock, type=Lock)
    except msgspec.MsgspecError as problem:
        raise UserError(
            "uv.lock cannot be read.", details=str(problem), resolution="Make it anew with `uv lock`."
        ) from problem


def unpack_wheels(wheels: Iterable[Source], cache: Path, target: Path, *, downloader: Downloader, step: Step) -> None:
    """Put the wheels' content into the folder `target`; `cache` keeps what is downloaded, by digest."""
    for wheel in wheels:
        step.note(wheel.name.partition("-")[0])
        with zipfile.ZipFile(_have(wheel, cache, downloader)) as opened:
            opened.extractall(target)


def _have(wheel: Source, cache: Path, downloader: Downloader) -> Path:
    folder = cache / wheel.sha256
    if not folder.is_dir():
        with folder_in_one_step(folder) as scratch:
            found = downloader.download(wheel.url, scratch / wheel.name, progress=lambda _piece, _total: None)
            if found != wheel.sha256:
                raise PeerError(
                    f"{wheel.name} is not what uv.lock names.",
                    details=f"{wheel.url} has SHA-256 {found}, the lock says {wheel.sha256}.",
                    resolution="Nothing of it was used. Try again, perhaps from another network.",
                )
    return folder / wheel.name
