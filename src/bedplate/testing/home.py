"""A cluster with a state folder of its own, used by the real commands, as a person would."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bedplate.cli.context import places
from bedplate.host import sockets
from bedplate.host.run import Completed, ProgramFailed, Runner, SystemRunner
from bedplate.image.build import DEVELOPMENT_KEYS
from bedplate.local.kubectl import Kubectl
from bedplate.testing.vm.ends import read_ends

UP_SECONDS = 3600.0
"""More than a first build takes on two cores."""
KUBECTL_SECONDS = 300.0


SHARED = (DEVELOPMENT_KEYS, "release")
"""What an image of this computer is signed with and trusts: with another pair it would be another image."""


def free_port() -> int:
    """A port of this computer on which nobody listens now."""
    with sockets.listen_tcp(0) as door:
        return int(door.getsockname()[1])


def home_with_our_keys(state: Path, runner: Runner | None = None) -> Home:
    """A home in the state folder `state` whose images are those of this computer, so that the cache has them."""
    ours = places().state
    for name in SHARED:
        if (ours / name).exists():
            shutil.copytree(ours / name, state / "bedplate" / name)
    return Home(state, runner or SystemRunner())


@dataclass(frozen=True)
class Home:
    """`state` is the state folder; `runner` starts the commands."""

    state: Path
    runner: Runner = field(default_factory=SystemRunner)

    @property
    def cluster(self) -> Path:
        """The folder of the local cluster."""
        return self.state / "bedplate/clusters/local"

    @property
    def kubeconfig(self) -> Path:
        return self.cluster / "admin.yaml"

    def bedplate(self, *arguments: str) -> str:
        """Run `bedplate` and give what it printed; when it fails, the message has the machines' consoles."""
        try:
            return self._run(arguments, code=0).text
        except ProgramFailed as problem:
            raise AssertionError(f"{problem.details}\n{self.consoles()}") from problem

    def refusal(self, *arguments: str, code: int) -> str:
        """Run `bedplate`, which has to end with `code`, and give what it said about it."""
        return self._run(arguments, code=code).stderr.decode()

    def _run(self, arguments: Sequence[str], *, code: int) -> Completed:
        argv = [sys.executable, "-m", "bedplate.cli", *arguments]
        return self.runner.run(argv, env={"XDG_STATE_HOME": str(self.state)}, ok=(code,), seconds=UP_SECONDS)

    def kubectl(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Run `kubectl` as the cluster's administrator and give what it printed."""
        return self.admin.run(*arguments, stdin=stdin, seconds=KUBECTL_SECONDS)

    @property
    def admin(self) -> Kubectl:
        return Kubectl(self.runner, self.cluster / "bin/kubectl", self.kubeconfig)

    def consoles(self) -> str:
        """The ends of all consoles, for the message of a test that failed."""
        return read_ends(self.cluster / "machines")
