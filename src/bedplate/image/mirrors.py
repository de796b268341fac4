"""Where Debian comes from: the mirror, its security archive, and the archive that forgets nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bedplate.host.run import Runner

DEFAULT_MIRROR = "http://deb.debian.org/debian"
SNAPSHOT = "http://snapshot.debian.org/archive"
RELEASE = "trixie"
SUITES = f"{RELEASE} {RELEASE}-updates"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_DATED = re.compile(r"(.*/archive)/debian/(\d{8}T\d{6}Z)")


def host_mirror(runner: Runner) -> str:
    """The Debian mirror that this machine's own apt uses; Debian's own where it uses none (as on Ubuntu)."""
    listed = runner.run(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"])
    return choose_mirror(listed.text.split())


def choose_mirror(sites: Iterable[str]) -> str:
    return next((site for site in sites if site.rstrip("/").endswith("/debian")), DEFAULT_MIRROR).rstrip("/")


def site(mirror: str, archive: str) -> str:
    """Where `debian` or `debian-security` is beside a mirror; in a snapshot archive the time comes last."""
    suffix = archive.removeprefix("debian")
    dated = _DATED.fullmatch(mirror)
    return f"{dated[1]}/{archive}/{dated[2]}" if dated else f"{mirror}{suffix}"


def apt_sources(mirror: str) -> str:
    """An apt source list (sources.list(5), deb822) with the release, its updates and its security updates."""
    stanzas = ((site(mirror, "debian"), SUITES), (site(mirror, "debian-security"), f"{RELEASE}-security"))
    return "\n".join(
        f"Types: deb\nURIs: {where}\nSuites: {suites}\nComponents: main\nSigned-By: {KEYRING}\n"
        for where, suites in stanzas
    )
