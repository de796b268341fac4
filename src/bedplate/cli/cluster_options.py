"""The options of `bedplate cluster up`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bedplate.local.cell.network import NUMBERS
from bedplate.local.order import API_PORT, REGISTRY_RELAY
from bedplate.local.pools.plan import FIRST_COUNT

NodesOption = Annotated[
    int | None,
    typer.Option(
        "--nodes",
        metavar="COUNT",
        min=0,
        max=len(NUMBERS),
        help="Nodes of the first pool, where there is none yet.",
        show_default=str(FIRST_COUNT),
    ),
]


def _port(of: str, first: int) -> Any:  # what the library's own function returns
    return typer.Option(
        metavar="PORT",
        min=1,
        max=65535,
        help=f"Port of this computer for {of}.",
        show_default=f"as before, at first {first}",
    )


ApiPortOption = Annotated[int | None, _port("the API server", API_PORT)]
RegistryPortOption = Annotated[int | None, _port("the registry", REGISTRY_RELAY)]
KubeconfigOption = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        resolve_path=True,
        help="Start no control plane; the machines join the one that FILE names.",
    ),
]
ReleasesOption = Annotated[
    Path | None,
    typer.Option(
        "--releases",
        metavar="FOLDER",
        exists=True,
        file_okay=False,
        resolve_path=True,
        help="A release repository, from which new machines update.",
    ),
]
AgentSettingsOption = Annotated[
    Path | None,
    typer.Option(
        "--agent-settings",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="What new machines are told of updates, in TOML.",
    ),
]
