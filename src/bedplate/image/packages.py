"""The package tree: what mkosi installs from os/mkosi.conf, before the rules say what of it a node keeps."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from bedplate.host.files import folder_in_one_step, write_atomically
from bedplate.host.places import Places
from bedplate.host.report import Report
from bedplate.host.run import Runner
from bedplate.image.tools import Tools
from bedplate.model.digests import sha256

DEFAULT_MIRROR = "http://deb.debian.org/debian"
SUITES = "trixie trixie-updates"


def host_mirror(runner: Runner) -> str:
    """The Debian mirror that this machine's own apt uses; Debian's own where it uses none (as on Ubuntu)."""
    listed = runner.run(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"])
    return choose_mirror(listed.text.split())


def choose_mirror(sites: Iterable[str]) -> str:
    return next((site for site in sites if site.rstrip("/").endswith("/debian")), DEFAULT_MIRROR).rstrip("/")


def apt_sources(mirror: str) -> str:
    """An apt source list (sources.list(5), deb822) with the release, its updates and its security updates."""
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    stanzas = ((mirror, SUITES), (f"{mirror}-security", "trixie-security"))
    return "\n".join(
        f"Types: deb\nURIs: {where}\nSuites: {suites}\nComponents: main\nSigned-By: {keyring}\n"
        for where, suites in stanzas
    )


def package_tree(recipe: Path, *, tools: Tools, places: Places, mirror: str, report: Report) -> Path:
    """The tree of all packages of the recipe with what they depend on, made where the cache lacks it."""
    key = sha256(b"\0".join([(recipe / "mkosi.conf").read_bytes(), tools.tree.name.encode()]))[:16]
    tree = places.cache / "packages" / key
    if tree.is_dir():
        report.skipped("Debian packages", "already there")
        return tree
    with report.step("Debian packages"), folder_in_one_step(tree) as scratch:
        work = scratch / ".mkosi"
        sources = work / "sandbox/etc/apt/sources.list.d/mkosi.sources"
        write_atomically(sources, apt_sources(mirror).encode())
        downloads = places.cache / "downloads/mkosi"
        for folder in (work / "work", downloads):
            folder.mkdir(parents=True, exist_ok=True)
        places_of = {"output": work, "workspace": work / "work", "package-cache": downloads}
        options = [f"--{name}-dir={folder}" for name, folder in places_of.items()]
        log = places.cache / "logs/packages.log"
        tools.mkosi(recipe, [f"--sandbox-tree={work / 'sandbox'}", *options, "--force"], log=log)
        for entry in (work / "tree").iterdir():
            entry.rename(scratch / entry.name)
        shutil.rmtree(work)
    return tree
