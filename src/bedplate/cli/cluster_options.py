"""The options of `bedplate cluster up`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
ApiPortOption = Annotated[
    int | None,
    typer.Option(
        metavar="PORT",
        min=1,
        max=65535,
        help="Port of this computer for the API server.",
        show_default=f"as before, at first {API_PORT}",
    ),
]
RegistryPortOption = Annotated[
    int | None,
    typer.Option(
        metavar="PORT",
        min=1,
        max=65535,
        help="Port of this computer for the registry.",
        show_default=f"as before, at first {REGISTRY_RELAY}",
    ),
]
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
