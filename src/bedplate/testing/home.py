"""A cluster with a state folder of its own, used by the real commands, as a person would."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bedplate.host import sockets
from bedplate.host.run import Completed, ProgramFailed, Runner, SystemRunner
from bedplate.local.kubectl import Kubectl

UP_SECONDS = 3600.0
"""More than a first build takes on two cores."""
KUBECTL_SECONDS = 300.0
CONSOLE_CHARACTERS = 3000


def free_port() -> int:
    """A port of this computer on which nobody listens now."""
    with sockets.listen_tcp(0) as door:
        return int(door.getsockname()[1])


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
        files = sorted(self.cluster.glob("machines/*/console.log"))
        ends = {file.parent.name: file.read_text(errors="replace")[-CONSOLE_CHARACTERS:] for file in files}
        return "\n".join(f"--- {name}\n{end}" for name, end in ends.items())
