"""The Go toolchain: pinned by digest, fetched from the Go module proxy, so that the machine needs no Go.

The proxy serves it as a module, golang.org/toolchain (https://go.dev/doc/toolchain#download).
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import msgspec

from bedplate.host.download import Downloader
from bedplate.host.files import folder_in_one_step, remove_leftovers
from bedplate.host.locks import in_turn
from bedplate.host.report import Report, Step
from bedplate.model.digests import Sha256
from bedplate.model.errors import PeerError, UserError

DEFAULT_PROXY = "https://proxy.golang.org"
PROGRAM_FOLDERS = ("bin/", "pkg/tool/")


class Toolchain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """components/toolchain.toml: the Go version and the SHA-256 of its zip file for linux/amd64."""

    version: str
    sha256: Sha256

    @property
    def module_version(self) -> str:
        return f"v0.0.1-go{self.version}.linux-amd64"

    def path(self, cache: Path) -> Path:
        return cache / "toolchains" / f"go{self.version}"

    def is_there(self, cache: Path) -> bool:
        return (self.path(cache) / "bin/go").is_file()


def read_toolchain(components: Path) -> Toolchain:
    file = components / "toolchain.toml"
    try:
        return msgspec.toml.decode(file.read_text(), type=Toolchain)
    except FileNotFoundError as problem:
        raise UserError(
            f"{file} is missing.", resolution="Run this in a checkout of Bedplate, or name one with --root."
        ) from problem
    except msgspec.DecodeError as problem:
        raise UserError(
            f"{file} does not pin a toolchain.",
            details=str(problem),
            resolution='It needs the lines version = "1.2.3" and sha256 = "…".',
        ) from problem


def proxy_address(setting: str) -> str:
    """The first server of a GOPROXY setting; the public proxy where it is empty.

    Raises `UserError` for a setting that forbids proxies, since the toolchain is served by them only.
    """
    servers = [part.strip() for part in re.split(r"[,|]", setting) if part.strip()]
    addresses = [server for server in servers if server not in {"direct", "off"}]
    if servers and not addresses:
        raise UserError(
            f"GOPROXY={setting} leaves no module proxy to fetch the Go toolchain from.",
            resolution=f"Set GOPROXY to a module proxy, for example {DEFAULT_PROXY}.",
        )
    return addresses[0].rstrip("/") if addresses else DEFAULT_PROXY


def have_toolchain(toolchain: Toolchain, cache: Path, *, go_proxy: str, downloader: Downloader, report: Report) -> Path:
    """The folder of the toolchain, fetched if it is not there yet; two that lack it fetch it once."""
    if not toolchain.is_there(cache):
        with in_turn(cache / "toolchains.lock", doing="fetching Go", waiting=report.step):
            if not toolchain.is_there(cache):
                fetch(toolchain, cache, go_proxy=go_proxy, downloader=downloader, report=report)
    return toolchain.path(cache)


def fetch(toolchain: Toolchain, cache: Path, *, go_proxy: str, downloader: Downloader, report: Report) -> None:
    """Put the toolchain into the cache, whole or not at all. Raises `PeerError` when other bytes arrive."""
    path = toolchain.path(cache)
    url = f"{proxy_address(go_proxy)}/golang.org/toolchain/@v/{toolchain.module_version}.zip"
    remove_leftovers(path)
    with report.step(f"Get Go {toolchain.version}") as step, folder_in_one_step(path) as scratch:
        archive = scratch / "toolchain.zip"
        found = downloader.download(url, archive, progress=lambda count, total: step.advance(count, total=total))
        if found != toolchain.sha256:
            raise PeerError(
                f"{url} is not the toolchain that is pinned.",
                details=f"expected SHA-256 {toolchain.sha256}\nreceived         {found}",
                resolution="Nothing was kept. Ask whoever runs that proxy, or set GOPROXY to another one.",
            )
        unpack(archive, scratch, toolchain, step)
        archive.unlink()
        step.note("")


def unpack(archive: Path, folder: Path, toolchain: Toolchain, step: Step) -> None:
    """Unpack as the go command does: programs become executable, `_go.mod` becomes `go.mod`."""
    step.note("unpacking")
    top = f"golang.org/toolchain@{toolchain.module_version}/"
    with zipfile.ZipFile(archive) as source:
        for member in source.infolist():
            member.filename = _place(member.filename.removeprefix(top))
            target = Path(source.extract(member, folder))
            if member.filename.startswith(PROGRAM_FOLDERS):
                target.chmod(0o755)


def _place(name: str) -> str:
    folder, slash, leaf = name.rpartition("/")
    return f"{folder}{slash}{'go.mod' if leaf == '_go.mod' else leaf}"
