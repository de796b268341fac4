"""A release repository of this computer, served to the machines of a cluster as any web server would."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import tomli_w

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
    return replace(target, agent=with_mirror(agent, URL).encode(), release_root=newest_root(repository))


def with_mirror(agent: str, url: str) -> str:
    """Settings of an agent (TOML) that ask at `url`, unless they name mirrors of their own."""
    try:
        settings = tomllib.loads(agent)
    except tomllib.TOMLDecodeError as problem:
        raise UserError("The settings of the agent are not TOML.", details=str(problem)) from problem
    source = settings.setdefault("source", {})
    if not isinstance(source, dict):
        raise UserError("The settings of the agent cannot be used.", details="source is not a table.")
    source.setdefault("mirrors", [url])
    return tomli_w.dumps(settings)


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
