"""A go command that compiles nothing: programs are a line of text that tells what they were made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bedplate.host.run import Completed, ProgramFailed
from bedplate.image.components.gomod import executable_name, parse_go_mod


class FakeGo:
    """Implements `bedplate.host.jobs.Jobs` for `go list` and `go build`.

    `broken` maps a component's folder name to what its build says before it fails; `on_build` is called
    with that name when a build starts, and may raise.
    """

    def __init__(self) -> None:
        self.built: list[str] = []
        self.broken: dict[str, str] = {}
        self.on_build: Callable[[str], None] = lambda _: None

    async def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path,
        env: Mapping[str, str],
        log: Path,
        on_line: Callable[[str], None],
    ) -> Completed:
        del log
        command = tuple(str(part) for part in argv)
        packages = parse_go_mod((cwd / "go.mod").read_text()).tools
        for package in packages:
            on_line(package if command[1] == "build" else f"stale {package}")
        if command[1] == "build":
            self._build(command, cwd.name, packages, env)
        return Completed(command, 0, b"", b"", 0.0)

    def _build(self, command: tuple[str, ...], name: str, packages: Sequence[str], env: Mapping[str, str]) -> None:
        self.on_build(name)
        if name in self.broken:
            raise ProgramFailed(Completed(command, 1, self.broken[name].encode(), b"", 0.0))
        folder = Path(command[command.index("-o") + 1])
        folder.mkdir()
        flags = " ".join(part for part in command if part.startswith(("-ldflags", "-tags", "-trimpath")))
        for package in packages:
            (folder / executable_name(package)).write_text(f"{package} {flags} cgo={env['CGO_ENABLED']}\n")
        self.built.append(name)
