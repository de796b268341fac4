"""Which packages Debian has now for a list of names: asked of this machine's apt, apart from its own settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote

from bedplate.host.files import write_atomically
from bedplate.host.run import Runner
from bedplate.image.lock import Lock, Locked
from bedplate.image.mirrors import apt_sources, site
from bedplate.model.digests import Sha256
from bedplate.model.errors import PeerError

SETTINGS = """\
Dir "{work}/";
Dir::State "state";
Dir::State::status "{work}/state/status";
Dir::Cache "cache";
Dir::Etc "etc";
Dir::Etc::main "apt.conf";
Dir::Etc::parts "apt.conf.d";
Dir::Etc::sourcelist "{work}/etc/debian.sources";
Dir::Etc::sourceparts "-";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Debug::NoLocking "true";
pkgCacheGen::ForceEssential ",";
"""
FOLDERS = ("state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d")
_ADDRESS = re.compile(r"^'([^']+)' (\S+) \d+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Index:
    """The mirror's index of packages in the folder `work`, its signatures checked by apt."""

    mirror: str
    work: Path
    runner: Runner

    def _run(self, *argv: str) -> str:
        return self.runner.run(argv, env={"APT_CONFIG": str(self.work / "etc/apt.conf")}).text

    def update(self) -> None:
        for folder in FOLDERS:
            (self.work / folder).mkdir(parents=True, exist_ok=True)
        write_atomically(self.work / "state/status", b"")
        write_atomically(self.work / "etc/apt.conf", SETTINGS.format(work=self.work).encode())
        write_atomically(self.work / "etc/debian.sources", apt_sources(self.mirror).encode())
        self._run("apt-get", "-qq", "update")

    def resolve(self, names: Iterable[str]) -> Lock:
        """The packages named, Debian's essential ones, and all that these depend on."""
        listed = self._run("apt-get", "-qq", "--print-uris", "install", "?essential", *names)
        paths = {file: archive_path(address, self.mirror) for address, file in _ADDRESS.findall(listed)}
        stanzas = self._run("apt-cache", "show", *(wanted_version(file) for file in sorted(paths)))
        return Lock(self.suites(), choose(stanzas, set(paths.values())))

    def suites(self) -> tuple[tuple[str, datetime], ...]:
        found = []
        for release in sorted((self.work / "state/lists").glob("*_InRelease")):
            fields = dict(line.split(": ", 1) for line in release.read_text().splitlines() if ": " in line)
            found.append((fields["Codename"], parsedate_to_datetime(fields["Date"])))
        return tuple(sorted(found))


def archive_path(address: str, mirror: str) -> str:
    """`debian/pool/…` or `debian-security/pool/…` for an address below the mirror."""
    plain = unquote(address)
    for archive in ("debian", "debian-security"):
        if plain.startswith(f"{site(mirror, archive)}/"):
            return archive + plain.removeprefix(site(mirror, archive))
    raise PeerError(f"{address} is not below the mirror {mirror}.", resolution="Name another mirror by --mirror.")


def wanted_version(file: str) -> str:
    """`name=version` of a file as apt names it: `name_1%3a2.3_amd64.deb`."""
    name, version, _ = unquote(file).split("_")
    return f"{name}={version}"


def choose(stanzas: str, paths: set[str]) -> tuple[Locked, ...]:
    """The packages at `paths`, from the stanzas that `apt-cache show` prints (deb822(5))."""
    pool = {path.partition("/")[2]: path for path in paths}
    found = {}
    for stanza in stanzas.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Filename") in pool:
            found[fields["Filename"]] = _locked(fields, pool[fields["Filename"]])
    missing = sorted(pool.keys() - found.keys())
    if missing:
        raise PeerError("The mirror's index does not describe all that it offers.", details="\n".join(missing))
    return tuple(sorted(found.values()))


def _locked(fields: Mapping[str, str], path: str) -> Locked:
    digest = Sha256(fields["SHA256"])
    return Locked(fields["Package"], fields["Version"], fields["Architecture"], int(fields["Size"]), digest, path)
