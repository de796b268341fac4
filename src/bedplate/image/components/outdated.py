"""Which components have newer releases: asks the Go module proxy what there is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bedplate.host.report import Report
from bedplate.host.run import ProgramFailed, Runner
from bedplate.image.components.catalogue import Component
from bedplate.image.components.go import Go, explain

RELEASE = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


class Freshness(msgspec.Struct, frozen=True):
    """One component against the releases there are.

    `patch` is the newest release of the same minor version, `newest` the newest of all; each is empty when
    `current` is that already. Pre-releases do not count.
    """

    component: str
    module: str
    current: str
    patch: str
    newest: str


class Versions(msgspec.Struct):
    """What `go list -m -versions -json` says, as far as we read it."""

    Versions: list[str] = []


def judge(component: str, module: str, current: str, versions: Sequence[str]) -> Freshness:
    """Compare `current` with `versions`, in any order and with or without a leading v."""
    have = _numbers(current)
    newer = sorted((numbers, version) for version in versions if (numbers := _numbers(version)) > have)
    patches = [version for numbers, version in newer if numbers[:2] == have[:2]]
    return Freshness(
        component=component,
        module=module,
        current=current,
        patch=patches[-1] if patches else "",
        newest=newer[-1][1] if newer else "",
    )


def outdated(
    components: Sequence[Component], toolchain: str, *, go: Go, runner: Runner, report: Report
) -> list[Freshness]:
    """The freshness of each component and of Go itself. Raises `PeerError` when the proxy does not answer."""
    found = []
    with report.step("Ask the module proxy for versions") as step:
        for component in components:
            step.note(component.module)
            versions = _ask(component.module, component, go, runner)
            found.append(judge(component.name, component.module, component.version, versions))
        versions = _ask("go", components[0], go, runner)
        found.append(judge("(toolchain)", "go", toolchain, versions))
        step.note("")
    return found


def _ask(module: str, asking: Component, go: Go, runner: Runner) -> list[str]:
    command: list[str | Path] = [go.program, "list", "-m", "-versions", "-json=Versions", module]
    try:
        done = runner.run(command, cwd=asking.folder, env=go.environment(asking))
    except ProgramFailed as failed:
        raise explain(asking, failed) from failed
    return msgspec.json.decode(done.stdout, type=Versions).Versions


def _numbers(version: str) -> tuple[int, ...]:
    """A release as numbers that compare; empty, which is below all, for anything else."""
    match = RELEASE.fullmatch(version)
    return tuple(int(part) for part in match.groups()) if match else ()
