"""The tools tree: a Debian trixie folder whose programs build images, whatever the builder's own machine is."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bedplate.host.files import discard, folder_in_one_step, no_space, remove_leftovers
from bedplate.host.places import Places
from bedplate.host.report import Report
from bedplate.host.run import Completed, ProgramFailed, Runner
from bedplate.image.debs import Debs, Supply
from bedplate.image.failures import of_installer
from bedplate.image.lock import TOOLS, Lock, require_locked, versions
from bedplate.image.recipe import tool_names, tools_lock
from bedplate.image.trees import FORM, seal, tree_damage
from bedplate.model.digests import sha256_of_parts

# Process numbers begin anew in each namespace, and faketime names its semaphores by them: a shared one would clash.
ENTER = (
    'mount --rbind "$2" "$1/mnt" && mount --rbind /dev "$1/dev" && mount -t tmpfs shm "$1/dev/shm"'
    ' && mount -t proc proc "$1/proc" && root=$1 && shift 2 && exec chroot "$root" "$@"'
)

ANY_SUITE = ""
"""A local repository is of no suite: asked for one by name, mmdebstrap 1.5 finds no essential packages in it."""


@dataclass(frozen=True, slots=True)
class Tools:
    """A tools tree at `tree`; programs see one folder of the host, as /mnt."""

    tree: Path
    runner: Runner

    def run(
        self, work: Path, argv: Sequence[str], *, env: Mapping[str, str] | None = None, ok: Collection[int] = (0,)
    ) -> Completed:
        """Run `argv` from the tree in namespaces of its own, with `work` at /mnt."""
        enter = [*enter_namespaces(), "sh", "-ec", ENTER, "enter", str(self.tree), str(work)]
        path = {"PATH": "/usr/sbin:/usr/bin", **(env or {})}
        try:
            return self.runner.run([*enter, *argv], env=path, ok=ok)
        except ProgramFailed as failed:
            if failed.for_want_of_space:
                raise no_space(work, failed.details) from failed
            raise ProgramFailed(failed.completed, program=argv[0]) from failed

    def mkosi(self, recipe: Path, options: Sequence[str], *, log: Path) -> Completed:
        """Run the tree's mkosi with the host's Python: it refuses to run chrooted."""
        env = {"PYTHONPATH": str(self.tree / "usr/lib/python3/dist-packages"), "PYTHONDONTWRITEBYTECODE": "1"}
        argv = ["python3", "-m", "mkosi", f"--tools-tree={self.tree}", *options, "build"]
        return self.runner.run(argv, cwd=recipe, env=env, log=log)


def enter_namespaces() -> tuple[str, ...]:
    """The words before a program that is to be root, with mounts and processes of its own.

    Root needs no user namespace. Everybody else is mapped to root in one, so that what lies in a home folder
    that is closed to others can still be reached: an installer's own namespace maps its root to nobody we know.
    """
    user = () if os.geteuid() == 0 else ("--map-root-user", "--map-auto")
    return ("unshare", *user, "--mount", "--pid", "--fork", "--kill-child")


def give_to_owner(tree: Path, runner: Runner) -> None:
    """Make all of a tree ours: files of other ids could not be removed again without a namespace."""
    runner.run([*enter_namespaces(), "chown", "-hR", "0:0", tree])


def tools_place(recipe: Path, lock: Lock, places: Places) -> Path:
    """Where the cache keeps the tree: named by all that it is a function of."""
    parts = {"names": " ".join(tool_names(recipe)), "lock": lock.digest, "form": FORM}
    return places.cache / "tools" / sha256_of_parts(parts.items())[:16]


def have_tools(recipe: Path, supply: Supply, runner: Runner) -> Tools:
    """The tools tree of the recipe, made where the cache lacks it or has it damaged."""
    lock = tools_lock(recipe)
    tree = tools_place(recipe, lock, supply.places)
    if tree.is_dir() and not tree_damage(tree):
        supply.report.skipped("Build tools", "already there")
    else:
        log = supply.places.cache / "logs/tools.log"
        make_tools(tool_names(recipe), tree, supply.have(lock), runner=runner, log=log, report=supply.report)
    return Tools(tree, runner)


def make_tools(names: Sequence[str], tree: Path, debs: Debs, *, runner: Runner, log: Path, report: Report) -> None:
    """Make a tree with the packages named, out of the packages of a lock and no others."""
    remove_leftovers(tree)
    wrong = tree_damage(tree) if tree.is_dir() else ""
    with report.step("Build tools") as step, folder_in_one_step(tree) as scratch, debs.repository() as repository:
        step.note(f"again, since in the cache {wrong}" if wrong else "")
        scratch.rmdir()
        source = f"deb [trusted=yes] copy://{repository} ./"
        options = ["--quiet", "--mode=root", "--variant=apt", f"--include={','.join(names)}"]
        try:
            runner.run([*enter_namespaces(), "mmdebstrap", *options, ANY_SUITE, scratch, source], log=log)
        except ProgramFailed as failed:
            raise of_installer("mmdebstrap", failed, tree, log) from failed
        give_to_owner(scratch, runner)
        require_locked(debs.lock, versions((scratch / "var/lib/dpkg/status").read_text()), TOOLS)
        seal(scratch)
        discard(tree)
