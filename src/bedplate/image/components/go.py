"""The go command as we call it: its environment, one build, and what its failures mean."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bedplate.host.jobs import Jobs
from bedplate.host.report import Step
from bedplate.host.run import ProgramFailed, Runner
from bedplate.image.components.catalogue import Component
from bedplate.image.components.keys import build_environment
from bedplate.model.errors import BedplateError, MachineError, PeerError, UserError

C_COMPILER = "gcc"
NETWORK_SIGNS = ("dial tcp", "i/o timeout", "connection refused", "no such host", "TLS handshake", "GOPROXY list")


@dataclass(frozen=True, slots=True)
class Go:
    """The toolchain at `root`, with its caches of modules and of compiled packages below `cache`."""

    root: Path
    cache: Path

    @property
    def program(self) -> Path:
        return self.root / "bin/go"

    def environment(self, component: Component) -> dict[str, str]:
        return {
            **build_environment(component),
            "GOROOT": str(self.root),
            "GOMODCACHE": str(self.cache / "go/mod"),
            "GOCACHE": str(self.cache / "go/build"),
            "PATH": f"{self.root / 'bin'}:/usr/bin:/bin",
        }


@dataclass(frozen=True, slots=True)
class Compiler:
    """Compiles components with `processes` compilers side by side; `logs` is where their output goes."""

    go: Go
    jobs: Jobs
    processes: int
    logs: Path

    async def compile(self, component: Component, folder: Path, step: Step) -> int:
        """Build every tool of `component` into `folder`/bin; give the number of packages that had to be compiled."""
        scratch = folder / "work"
        scratch.mkdir()
        stale: set[str] = set()
        try:
            step.note("looking up packages")
            await self._call(component, scratch, list_stale(component), Listening(step, stale).line)
            step.note("")
            await self._call(component, scratch, self._build(component, folder), Counting(step, stale).line)
        except ProgramFailed as failed:
            raise explain(component, failed, self._log(component)) from failed
        shutil.rmtree(scratch)
        for tool in component.tools:
            (folder / "bin" / tool.built_as).rename(folder / "bin" / tool.name).chmod(0o555)
        return len(stale)

    def _build(self, component: Component, folder: Path) -> list[str]:
        return ["build", "-v", f"-p={self.processes}", *component.flags, "-o", f"{folder / 'bin'}/", "tool"]

    async def _call(
        self, component: Component, scratch: Path, arguments: Sequence[str], on_line: Callable[[str], None]
    ) -> None:
        await self.jobs.run(
            [self.go.program, *arguments],
            cwd=component.folder,
            env={**self.go.environment(component), "GOTMPDIR": str(scratch)},
            log=self._log(component),
            on_line=on_line,
        )

    def _log(self, component: Component) -> Path:
        return self.logs / f"{component.name}.log"


def list_stale(component: Component) -> list[str]:
    """Lists the packages that have to be compiled first: those that `go build -v` will name."""
    return ["list", "-deps", "-f={{if .Stale}}stale {{.ImportPath}}{{end}}", *component.flags, "tool"]


@dataclass(frozen=True, slots=True)
class Listening:
    """Collects the packages that have to be compiled, and tells which modules are fetched meanwhile."""

    step: Step
    stale: set[str]

    def line(self, text: str) -> None:
        word, _, rest = text.partition(" ")
        if word == "stale":
            self.stale.add(rest)
        elif text.startswith("go: downloading "):
            self.step.note(rest)


@dataclass(frozen=True, slots=True)
class Counting:
    """Counts the packages that were compiled."""

    step: Step
    stale: set[str]

    def line(self, text: str) -> None:
        if text in self.stale:
            self.step.note(text)
            self.step.advance(1, total=len(self.stale))


def c_side(component: Component, runner: Runner) -> str:
    """The C compiler and libraries that go into a component; empty where none do.

    Raises `MachineError` with the Debian packages to install when something is missing.
    """
    if component.cgo is None:
        return ""
    libraries = component.cgo.libraries
    commands = [[C_COMPILER, "--version"], *(["pkg-config", "--modversion", name] for name in libraries)]
    try:
        return "\n".join(runner.run(command).text.splitlines()[0] for command in commands)
    except MachineError as problem:
        raise MachineError(
            f"{component.name} cannot be built: it needs a C compiler and {', '.join(libraries)}.",
            details=problem.brief,
            resolution=f"Run ./dev setup, or: apt-get install {' '.join(component.cgo.packages)}",
        ) from problem


def explain(component: Component, failed: ProgramFailed, log: Path | None = None) -> BedplateError:
    """Whose fault a failed build is, by what go said."""
    said = failed.completed.text + failed.completed.stderr.decode(errors="replace")
    details = f"{failed.details}\nwhole output: {log}" if log else failed.details
    if "no space left on device" in said:
        return MachineError(
            f"The disk is full: {component.name} could not be built.",
            details=details,
            resolution="Free some space; everything from nothing needs about 12 GB in the cache.",
        )
    if "SECURITY ERROR" in said or "checksum mismatch" in said:
        return PeerError(
            f"A module of {component.name} is not the one that go.sum names.",
            details=details,
            resolution="Do not go on: whoever serves the modules (GOPROXY) changed one, or go.sum was edited.",
        )
    if any(sign in said for sign in NETWORK_SIGNS):
        return PeerError(
            f"The modules of {component.name} could not be fetched.",
            details=details,
            resolution="Check the connection and GOPROXY, then try again: what arrived is kept.",
        )
    if "updates to go.mod needed" in said or "missing go.sum entry" in said:
        return UserError(
            f"go.mod and go.sum of {component.name} are not complete.",
            details=details,
            resolution=f"Run `go mod tidy` in {component.folder} and look at what it changes.",
        )
    return MachineError(
        f"{component.name} {component.version} did not build.",
        details=details,
        resolution="The output above has the first error.",
    )
