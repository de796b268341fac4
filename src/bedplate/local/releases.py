"""A release repository of this computer, served to the machines of a cluster as any web server would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bedplate.local.addresses import GATEWAY, RELEASES_PORT
from bedplate.local.join import JoinTarget
from bedplate.model.errors import UserError
from bedplate.wire.cell import ProcessSpec

URL = f"http://{GATEWAY}:{RELEASES_PORT}"
NAME = "releases"
ROOTS = "metadata/*.root.json"


def releases_process(folder: Path, repository: Path, *, python: Path) -> ProcessSpec:
    """The server of `repository` for the cluster under `folder`: files, and nothing that has to be trusted."""
    serve = ("release", "serve", f"--repository={repository}", f"--address={GATEWAY}", f"--port={RELEASES_PORT}")
    argv = (str(python), "-P", "-m", "bedplate.cli", *serve)
    return ProcessSpec(name=NAME, argv=argv, log=str(folder / "log" / "releases.log"), restart=True)


def with_releases(target: JoinTarget, repository: Path | None, agent: str) -> JoinTarget:
    """The target with what machines are told of updates: whom to trust, where to ask, and the rest of `agent`."""
    if repository is None:
        return replace(target, agent=agent.encode())
    mirrors = f'source.mirrors = ["{URL}"]\n'
    return replace(target, agent=(mirrors + agent).encode(), release_root=newest_root(repository))


def newest_root(repository: Path) -> bytes:
    """The root metadata with the highest number. Raises `UserError` where there is none."""
    numbered = [path for path in repository.glob(ROOTS) if path.name.split(".")[0].isdigit()]
    found = {int(path.name.split(".")[0]): path for path in numbered}
    if not found:
        raise UserError(
            f"{repository} is not a release repository.",
            details="It has no root metadata.",
            resolution="Make one with `bedplate release init`.",
        )
    return found[max(found)].read_bytes()
