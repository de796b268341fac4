"""`bedplate components`: what is built from source, from components/NAME/go.mod."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bedplate.cli.context import places, report
from bedplate.cli.output import OutputFormat, OutputOption, emit
from bedplate.cli.plans import DryRunOption, emit_plan
from bedplate.host.run import SystemRunner
from bedplate.image.components.build import World, build_components, have_go, make_order, plan_order
from bedplate.image.components.catalogue import Component, Role, Tool, choose, read_catalogue
from bedplate.image.components.outdated import outdated as ask_what_is_outdated
from bedplate.image.components.toolchain import read_toolchain

app = typer.Typer(
    help="Programs built from source, such as the kubelet.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

CHECKOUT = Path(__file__).parents[3]
RootOption = Annotated[
    Path, typer.Option("--root", metavar="FOLDER", help="The checkout to work on.", show_default="this one")
]
RoleOption = Annotated[
    Role | None,
    typer.Option("--role", help="Only what goes into the image, or only what a local cluster needs besides."),
]
NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="NAME", help="Components; all of them if none is named.")
]


class Built(msgspec.Struct, frozen=True):
    """One program that is ready for use."""

    tool: str
    path: Path


class Described(msgspec.Struct, frozen=True):
    """One tool as the catalogue has it."""

    tool: str
    component: str
    version: str
    role: Role
    why: str
    module: str
    package: str


@app.command()
def build(
    names: NamesArgument = None,
    *,
    role: RoleOption = None,
    dry_run: DryRunOption = False,
    verify: Annotated[bool, typer.Option("--verify", help="Read every program that was built before.")] = False,
    root: RootOption = CHECKOUT,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Build what the cache lacks, and print where it all is.

    The first build of everything takes some 12 minutes on two cores. A program
    in the cache that differs from its receipt is named and built again.
    """
    wanted = names or None
    if dry_run:
        order = make_order(wanted, root=root, places=places(), runner=SystemRunner(), role=role)
        emit_plan(plan_order(order, World.real().machine, thorough=verify).actions, output=output)
        return
    programs = build_components(
        wanted, root=root, places=places(), runner=SystemRunner(), report=report(), role=role, thorough=verify
    )
    emit([Built(name, path) for name, path in sorted(programs.items())], output=output)


@app.command(name="list")
def list_components(
    names: NamesArgument = None,
    *,
    role: RoleOption = None,
    root: RootOption = CHECKOUT,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Show every tool, its version, where it runs and why it is there."""
    components = choose(read_catalogue(root / "components"), names or None, role)
    rows = [_describe(c, tool) for c in components for tool in c.tools if role in {None, tool.role}]
    columns = {"Tool": "tool", "Component": "component", "Version": "version", "Role": "role", "Why": "why"}
    emit(rows, output=output, columns=columns)


@app.command()
def outdated(
    names: NamesArgument = None, *, root: RootOption = CHECKOUT, output: OutputOption = OutputFormat.table
) -> None:
    """Show which components have newer releases.

    Patch is the newest of the same minor version, Newest the newest of all; a
    dash says that there is none. docs/how-to/add-a-component.md tells how to
    raise one.
    """
    folder = root / "components"
    components = choose(read_catalogue(folder), names or None)
    toolchain = read_toolchain(folder)
    go = have_go(toolchain, places=places(), world=World.real(), report=report())
    rows = ask_what_is_outdated(components, toolchain.version, go=go, runner=SystemRunner(), report=report())
    columns = {"Component": "component", "Current": "current", "Patch": "patch", "Newest": "newest", "Module": "module"}
    emit(rows, output=output, columns=columns)


def _describe(component: Component, tool: Tool) -> Described:
    return Described(
        tool=tool.name,
        component=component.name,
        version=component.version,
        role=tool.role,
        why=tool.why,
        module=component.module,
        package=tool.package,
    )
