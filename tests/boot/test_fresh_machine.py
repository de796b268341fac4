"""The first steps of the README hold on a Debian on which nothing was done yet, of each release that we name."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bedplate.cli.context import places
from bedplate.host.run import Completed, SystemRunner
from bedplate.image.mirrors import host_mirror
from bedplate.image.tools import enter_namespaces

pytestmark = pytest.mark.vm

ROOT = Path(__file__).parents[2]
SECONDS = 1800.0
KEPT = ("components", "downloads", "go", "toolchains")
"""What comes from this machine's cache, to save the long build. All else is made by the fresh machine's programs."""
TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
WHAT_GIT_CLONE_NEEDS = "ca-certificates,git,python3"


@dataclass(frozen=True, slots=True)
class FreshDebian:
    """A small Debian under `tree`, entered as a container is: with a root, mounts and processes of its own."""

    tree: Path
    runner: SystemRunner

    def install(self, release: str) -> None:
        options = ["--quiet", "--mode=root", "--variant=minbase", f"--include={WHAT_GIT_CLONE_NEEDS}"]
        argv = [*enter_namespaces(), "mmdebstrap", *options, release, self.tree, host_mirror(self.runner)]
        self.runner.run(argv, seconds=SECONDS)
        # It trusts whom this machine trusts: the way to the world may lead through a proxy of its owner.
        self.runner.run([*enter_namespaces(), "cp", TRUSTED, f"{self.tree}{TRUSTED}"])

    def run(self, *argv: str, ok: Collection[int] = (0,)) -> Completed:
        """Run a program as root in the checkout, which is seen as /bedplate."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        home = {"HOME": "/root", "XDG_CACHE_HOME": "", "XDG_STATE_HOME": "", "TMPDIR": "/tmp"}
        trust = {"SSL_CERT_FILE": TRUSTED, "PIP_CERT": TRUSTED}
        enter = [*enter_namespaces(), "sh", "-euc", self._enter(), "enter"]
        return self.runner.run([*enter, *argv], env={"PATH": path, **home, **trust}, ok=ok, seconds=SECONDS)

    def _enter(self) -> str:
        shown = {"/bedplate": ROOT} | {f"/root/.cache/bedplate/{name}": places().cache / name for name in KEPT}
        lines = [
            # Twice: what is mounted on a folder is not seen by who is in it already.
            *(f"cd {shlex.quote(str(self.tree))}", "mount --rbind . .", f"cd {shlex.quote(str(self.tree))}"),
            *("mount --rbind /dev dev", "mount --rbind /sys sys", "mount -t proc proc proc", "mkdir -p before"),
            *(f"mkdir -p .{to}; mount --rbind {shlex.quote(str(at))} .{to}" for to, at in shown.items()),
            *("pivot_root . before", "umount --lazy /before", "cd /bedplate", 'exec "$@"'),
        ]
        return "\n".join(lines)

    def remove(self) -> None:
        """All of it, whomever it belongs to."""
        self.runner.run([*enter_namespaces(), "rm", "-rf", "--one-file-system", self.tree])


@pytest.fixture(params=["bookworm", "trixie"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FreshDebian]:
    machine = FreshDebian(tmp_path / "root", SystemRunner())
    try:
        machine.install(request.param)
        yield machine
    finally:
        machine.remove()


def test_a_fresh_debian_is_set_up_by_one_command_and_builds_the_image(fresh: FreshDebian) -> None:
    fresh.run("./dev", "setup")
    assert fresh.run("./dev", "bedplate", "--help").text.lstrip().startswith("Usage: bedplate")
    found = json.loads(fresh.run("./dev", "bedplate", "preflight", "--output=json", ok=range(256)).stdout)
    verdicts = {each["about"]: each["severity"] for each in found}
    assert [verdicts[about] for about in ("programs", "firmware", "namespaces")] == ["good"] * 3
    built = json.loads(fresh.run("./dev", "bedplate", "image", "build", "--output=json").stdout)
    assert (fresh.tree / built["disk"].lstrip("/")).is_file()
