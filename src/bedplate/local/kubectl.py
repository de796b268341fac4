"""Runs `kubectl` for the local cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bedplate.host.run import Runner

SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Kubectl:
    """`kubectl` with one kubeconfig; without `context`, the one that is current there."""

    runner: Runner
    program: Path
    kubeconfig: Path
    context: str = ""

    def run(self, *arguments: str, stdin: bytes | None = None, seconds: float = SECONDS) -> str:
        """What it printed. Raises `ProgramFailed` when it failed, `MachineError` after `seconds`."""
        return self.runner.run(self.argv(*arguments), stdin=stdin, seconds=seconds).text

    def apply(self, manifest: bytes) -> tuple[str, ...]:
        """Make what the manifest says so; one line for each object (`service/kube-dns created`)."""
        return tuple(self.run("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest).splitlines())

    def argv(self, *arguments: str) -> list[str | Path]:
        """The command line."""
        context = [f"--context={self.context}"] if self.context else []
        return [self.program, f"--kubeconfig={self.kubeconfig}", *context, *arguments]
