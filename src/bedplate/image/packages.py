"""The package tree: what mkosi installs from os/mkosi.conf, before the rules say what of it a node keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bedplate.host.files import discard, folder_in_one_step, remove_leftovers, write_atomically
from bedplate.host.places import Places
from bedplate.host.report import Report
from bedplate.host.run import ProgramFailed
from bedplate.image.debs import Debs, Supply
from bedplate.image.failures import of_mkosi
from bedplate.image.lock import PACKAGES, Lock, require_locked, versions
from bedplate.image.recipe import packages_lock
from bedplate.image.tools import Tools, give_to_owner
from bedplate.image.trees import FORM, seal, tree_damage
from bedplate.model.digests import sha256_of_parts

STATUS = "var/lib/dpkg/status"


def packages_place(recipe: Path, lock: Lock, tools: Path, places: Places) -> Path:
    """Where the cache keeps the tree: named by all that it is a function of."""
    parts = {"recipe": (recipe / "mkosi.conf").read_text(), "lock": lock.digest, "tools": tools.name, "form": FORM}
    return places.cache / "packages" / sha256_of_parts(parts.items())[:16]


def local_sources(repository: Path) -> str:
    """An apt source list with nothing but a local repository, whose files were checked against the lock."""
    return f"Types: deb\nURIs: file://{repository}\nSuites: ./\nTrusted: yes\n"


def have_packages(recipe: Path, tools: Tools, supply: Supply) -> Path:
    """The package tree of the recipe, made where the cache lacks it or has it damaged."""
    lock = packages_lock(recipe)
    tree = packages_place(recipe, lock, tools.tree, supply.places)
    if tree.is_dir() and not tree_damage(tree):
        supply.report.skipped("Debian packages", "already there")
    else:
        log = supply.places.cache / "logs/packages.log"
        make_packages(recipe, tree, supply.have(lock), tools=tools, log=log, report=supply.report)
    return tree


def make_packages(recipe: Path, tree: Path, debs: Debs, *, tools: Tools, log: Path, report: Report) -> None:
    """Make the tree of all packages of the lock."""
    remove_leftovers(tree)
    wrong = tree_damage(tree) if tree.is_dir() else ""
    with report.step("Debian packages") as step, folder_in_one_step(tree) as scratch, work_folder(tree) as work:
        step.note(f"again, since in the cache {wrong}" if wrong else "")
        made = run_mkosi(recipe, work, debs, tools=tools, log=log)
        require_locked(debs.lock, versions((made / STATUS).read_text()), PACKAGES)
        give_to_owner(made, tools.runner)
        seal(made)
        discard(tree)
        # As a whole: some folders in it are not even for their owner to write, and so could not be moved.
        scratch.rmdir()
        made.rename(scratch)


def run_mkosi(recipe: Path, work: Path, debs: Debs, *, tools: Tools, log: Path) -> Path:
    """The tree that mkosi makes in the empty folder `work` from the packages of the lock."""
    sources = work / "sandbox/etc/apt/sources.list.d/mkosi.sources"
    folders = {"output": work, "workspace": work / "work", "package-cache": work / "cache"}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    with debs.repository() as repository:
        write_atomically(sources, local_sources(repository).encode())
        options = [f"--{name}-dir={folder}" for name, folder in folders.items()]
        # The sources above are what counts; this option makes mkosi show the folder to apt.
        options.append(f"--local-mirror=file://{repository}")
        try:
            tools.mkosi(recipe, [f"--sandbox-tree={work / 'sandbox'}", *options, "--force"], log=log)
        except ProgramFailed as failed:
            raise of_mkosi(failed, work.parent, log) from failed
    return work / "tree"


@contextmanager
def work_folder(tree: Path) -> Iterator[Path]:
    """A folder beside `tree` for one block; `remove_leftovers` finds it when we are killed."""
    with TemporaryDirectory(dir=tree.parent, prefix=f".{tree.name}.", ignore_cleanup_errors=True) as name:
        yield Path(name)
