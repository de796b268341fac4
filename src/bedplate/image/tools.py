"""The tools tree: a Debian trixie folder whose programs build images, whatever the builder's own machine is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bedplate.host.files import folder_in_one_step
from bedplate.host.places import Places
from bedplate.host.report import Report
from bedplate.host.run import Completed, Runner
from bedplate.model.digests import sha256

ENTER = (
    'mount --rbind "$2" "$1/mnt" && mount --rbind /dev "$1/dev" && mount -t proc proc "$1/proc"'
    ' && root=$1 && shift 2 && exec chroot "$root" "$@"'
)


@dataclass(frozen=True, slots=True)
class Tools:
    """A tools tree at `tree`; programs see one folder of the host, as /mnt."""

    tree: Path
    runner: Runner

    def run(self, work: Path, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Completed:
        """Run `argv` from the tree in namespaces of its own, with `work` at /mnt."""
        enter = ["unshare", *user_namespace(), "--mount", "--pid", "--fork", "sh", "-ec", ENTER, "enter"]
        path = {"PATH": "/usr/sbin:/usr/bin", **(env or {})}
        return self.runner.run([*enter, str(self.tree), str(work), *argv], env=path)

    def mkosi(self, recipe: Path, options: Sequence[str], *, log: Path) -> Completed:
        """Run the tree's mkosi with the host's Python: it refuses to run chrooted."""
        env = {"PYTHONPATH": str(self.tree / "usr/lib/python3/dist-packages")}
        argv = ["python3", "-m", "mkosi", f"--tools-tree={self.tree}", *options, "build"]
        return self.runner.run(argv, cwd=recipe, env=env, log=log)


def user_namespace() -> tuple[str, ...]:
    """Root needs no user namespace; everybody else becomes root in one."""
    return () if os.geteuid() == 0 else ("--map-root-user", "--map-auto")


def make_tools(packages: Path, *, places: Places, mirror: str, runner: Runner, report: Report) -> Tools:
    """The tools tree for the package list in `packages` (one name a line), made where the cache lacks it."""
    names = [line for line in packages.read_text().splitlines() if line and not line.startswith("#")]
    tree = places.cache / "tools" / sha256("\n".join(names).encode())[:16]
    if tree.is_dir():
        report.skipped("Build tools", "already there")
        return Tools(tree, runner)
    with report.step("Build tools"), folder_in_one_step(tree) as scratch:
        scratch.rmdir()
        runner.run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=apt",
                f"--include={','.join(names)}",
                "trixie",
                scratch,
                mirror,
            ],
            log=places.cache / "logs/tools.log",
        )
    return Tools(tree, runner)
