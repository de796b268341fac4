"""The manual words on one node's updates: each writes what is wanted on the Node object, or reads what it says."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from bedplate.cli.context import report
from bedplate.cli.local import the_cluster
from bedplate.cli.output import OutputFormat, OutputOption, emit
from bedplate.host.clock import Clock, SystemClock, wait_until
from bedplate.host.run import ProgramFailed, SystemRunner
from bedplate.local.kubectl import Kubectl
from bedplate.model.errors import PeerError, UserError
from bedplate.model.versions import ImageVersion
from bedplate.wire.desired import STATUS, Failed, Line, Status, Wish, annotations_of, wish_of
from bedplate.wire.node import Node, read_node

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The node's name.")]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the outcome.", show_default=True)]
WAIT_SECONDS, POLL_SECONDS = 3600.0, 2.0
COLUMNS = {"When": "at", "State": "state", "Version": "version", "Why": "reason"}


class NodeStatus(msgspec.Struct, frozen=True):
    """What a node says of its updates; `node_says` is its next step, or what it waits for."""

    name: str
    version: str
    state: str
    node_says: str
    target: str
    other_version: str
    pinned: bool
    clock: str


class Past(msgspec.Struct, frozen=True):
    """What happened on a node, the newest first, and the versions that it does not try again unless told."""

    happened: tuple[Line, ...]
    failed: tuple[Failed, ...]


def update(
    name: NameArgument,
    *,
    version: Annotated[
        str | None,
        typer.Option(
            "--version", metavar="VERSION", help="The image version.", show_default="what its channel points to"
        ),
    ] = None,
    wait: WaitOption = True,
) -> None:
    """Make a node another version, now.

    A version that failed there before is tried again. Its pods end within
    their grace: drain the node first to have them elsewhere.
    """
    if version is not None:
        ImageVersion.parse(version)
    _tell(name, Wish(version=version or ""), wait=wait)


def rollback(name: NameArgument, *, wait: WaitOption = True) -> None:
    """Go back to the version in a node's other slot, and stay there.

    The version that it leaves is not taken again until `bedplate node update`
    says so.
    """
    _tell(name, Wish(rollback=True), wait=wait)


def pin(
    name: NameArgument, *, off: Annotated[bool, typer.Option("--off", help="Let it update again.")] = False
) -> None:
    """Keep a node at the version that it runs."""
    kubectl = _kubectl()
    wish = wish_of(_node(kubectl, name).metadata.annotations) or Wish()
    _annotate(kubectl, name, msgspec.structs.replace(wish, pinned=not off))


def status(name: NameArgument, *, output: OutputOption = OutputFormat.table) -> None:
    """Show which version a node runs, and what it is about."""
    said = _status(_kubectl(), name)
    shown = NodeStatus(name, said.version, said.state, said.doing, said.target, said.other, said.pinned, said.clock)
    emit(shown, output=output)


def history(name: NameArgument, *, output: OutputOption = OutputFormat.table) -> None:
    """Show what became of a node's updates, and why.

    Of a version that failed, the end of what its boot wrote is shown as well.
    """
    said = _status(_kubectl(), name)
    if output is OutputFormat.json:
        emit(Past(said.history, said.failures), output=output)
        return
    emit(said.history, output=output, columns=COLUMNS)
    for failed in said.failures:
        typer.echo(f"\n{failed.version} failed: {failed.reason}")
        for line in failed.last_lines:
            typer.echo(f"  {line}")


def annotate_arguments(name: str, wish: Wish) -> tuple[str, ...]:
    """What kubectl is told, so that all of the wish comes about at once."""
    words = [f"{key}-" if value is None else f"{key}={value}" for key, value in annotations_of(wish).items()]
    return ("annotate", "node", name, "--overwrite", *words)


def _tell(name: str, wish: Wish, *, wait: bool) -> None:
    kubectl, clock = _kubectl(), SystemClock()
    _status(kubectl, name)  # a node that does not exist, or has no agent, would not hear of it
    wish = msgspec.structs.replace(wish, asked=clock.now().isoformat(timespec="milliseconds"))
    _annotate(kubectl, name, wish)
    if wait:
        _wait(kubectl, name, wish, clock)


def _annotate(kubectl: Kubectl, name: str, wish: Wish) -> None:
    kubectl.run(*annotate_arguments(name, wish))


def _wait(kubectl: Kubectl, name: str, wish: Wish, clock: Clock) -> None:
    """Until the node rests after it has heard of the wish. Raises `PeerError` when it did not become what was asked."""
    with report().step(f"Node {name}") as step:

        def missing() -> str:
            said = _status(kubectl, name)
            step.note(f"{said.state}: {said.doing}")
            return "" if said.asked == wish.asked and not said.busy else said.doing or said.state

        waited = wait_until(missing, clock, seconds=WAIT_SECONDS, every=POLL_SECONDS)
        said = _status(kubectl, name)
        if waited.missing or (wish.version and said.version != wish.version):
            raise PeerError(
                f"Node {name} runs {said.version}.",
                details=said.failures[0].reason if said.failures else said.doing,
                resolution=f"See what happened with `bedplate node history {name}`.",
            )
        step.note(said.version)


def _status(kubectl: Kubectl, name: str) -> Status:
    text = _node(kubectl, name).metadata.annotations.get(STATUS)
    if text is None:
        raise PeerError(
            f"Node {name} has not told anything of updates yet.",
            resolution=f"See with `bedplate node console {name}` whether its agent runs.",
        )
    return msgspec.json.decode(text, type=Status)


def _node(kubectl: Kubectl, name: str) -> Node:
    try:
        return read_node(kubectl.run("get", "node", name, "--output=json").encode())
    except ProgramFailed as problem:
        if "(NotFound)" not in problem.details:
            raise
        raise UserError(f"There is no node {name}.", resolution="List them with `kubectl get nodes`.") from problem


def _kubectl() -> Kubectl:
    return the_cluster().kubectl(SystemRunner())
