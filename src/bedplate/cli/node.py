"""`bedplate node`: the machines behind the nodes, seen from outside."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bedplate.cli.context import report
from bedplate.cli.local import changing, the_cluster
from bedplate.cli.node_update import history, pin, rollback, status, update
from bedplate.cli.output import OutputFormat, OutputOption, emit
from bedplate.host.clock import SystemClock
from bedplate.host.run import SystemRunner
from bedplate.local.pools.nodes import boots_of, wait_for_nodes
from bedplate.local.pools.reconcile import READY_SECONDS, provider
from bedplate.model.errors import UserError
from bedplate.model.machines import Machine, MachineProvider, Power

app = typer.Typer(help="Machines, their updates and their consoles.", no_args_is_help=True, rich_markup_mode=None)

for command in (update, rollback, pin, status, history):
    app.command()(command)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The node's name.")]
COLUMNS = {"Name": "name", "Pool": "pool", "Address": "address", "Power": "state"}
POLL_SECONDS = 0.5


@app.command(name="list")
def list_nodes(*, output: OutputOption = OutputFormat.table) -> None:
    """List the machines of every pool."""
    emit(provider(the_cluster(), SystemRunner()).list(), output=output, columns=COLUMNS)


@app.command()
def show(name: NameArgument, *, output: OutputOption = OutputFormat.table) -> None:
    """Show one machine."""
    emit(find(provider(the_cluster(), SystemRunner()), name), output=output)


def find(machines: MachineProvider, name: str) -> Machine:
    """The machine of that name. Raises `UserError` when there is none."""
    found = [machine for machine in machines.list() if machine.name == name]
    if not found:
        raise UserError(f"There is no node {name}.", resolution="List them with `bedplate node list`.")
    return found[0]


@app.command()
def restart(name: NameArgument) -> None:
    """Reset a machine, and wait until it is Ready.

    Like the button: what runs there is cut off.
    """
    with changing(f"restarting {name}"):
        cluster, clock = the_cluster(), SystemClock()
        machines = provider(cluster, SystemRunner())
        find(machines, name)
        with report().step(f"Node {name}") as step, cluster.api() as api:
            before = boots_of(api, [name])
            machines.power(name, Power.RESET)
            wait_for_nodes(api, before, clock, seconds=READY_SECONDS, tell=step.note)


@app.command()
def console(
    name: NameArgument,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing until Ctrl-C.")] = False,
) -> None:
    """Print what a machine has said on its serial console.

    There is no login: the console tells how the machine boots, and why it
    does not join.
    """
    file = provider(the_cluster(), SystemRunner()).console(name)
    clock = SystemClock()
    with file.open("rb") as opened:
        while True:
            sys.stdout.buffer.write(opened.read())
            sys.stdout.flush()
            if not follow:
                return
            clock.sleep(POLL_SECONDS)
