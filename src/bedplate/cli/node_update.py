"""The manual words on one node's updates: each writes what is wanted on the Node object, or reads what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import msgspec
import typer

from bedplate.cli.context import report
from bedplate.cli.local import the_cluster
from bedplate.cli.outcome import why_not
from bedplate.cli.output import OutputFormat, OutputOption, emit
from bedplate.host.clock import Clock, SystemClock, wait_until
from bedplate.host.report import Report
from bedplate.host.run import ProgramFailed, SystemRunner
from bedplate.local.kubectl import Kubectl
from bedplate.model.errors import PeerError, UserError
from bedplate.model.versions import ImageVersion
from bedplate.wire.desired import STATUS, Failed, Line, Status, Wish, annotations_of, wish_of
from bedplate.wire.node import read_node

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
    unknown_settings: tuple[str, ...]
    unhealthy: tuple[str, ...]


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
    """Make a node another version, as soon as it has leave to reboot.

    A version that failed there before is tried again. Its pods end within
    their grace: drain the node first to have them elsewhere.
    """
    if version is not None:
        ImageVersion.parse(version)
    tell(_node_object(name), partial(updated, name, version or ""), SystemClock(), report(), wait=wait)


def rollback(name: NameArgument, *, wait: WaitOption = True) -> None:
    """Go back to the version in a node's other slot, and stay there.

    The version that it leaves is not taken again until `bedplate node update`
    says so.
    """
    tell(_node_object(name), rolled_back, SystemClock(), report(), wait=wait)


def pin(
    name: NameArgument, *, off: Annotated[bool, typer.Option("--off", help="Let it update again.")] = False
) -> None:
    """Keep a node at the version that it runs."""
    node = _node_object(name)
    node.write(msgspec.structs.replace(node.wish(), pinned=not off))


def status(name: NameArgument, *, output: OutputOption = OutputFormat.table) -> None:
    """Show which version a node runs, and what it is about."""
    said = _node_object(name).status()
    shown = NodeStatus(
        name=name,
        version=said.version,
        state=said.state,
        node_says=said.doing,
        target=said.target,
        other_version=said.other,
        pinned=said.pinned,
        clock=said.clock,
        unknown_settings=said.unknown_settings,
        unhealthy=said.unhealthy,
    )
    emit(shown, output=output)


def history(name: NameArgument, *, output: OutputOption = OutputFormat.table) -> None:
    """Show what became of a node's updates, and why.

    Of a version that failed, the end of what its boot wrote is shown as well.
    """
    said = _node_object(name).status()
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


def updated(name: str, version: str, before: Wish) -> Wish:
    """The wish for another version; the channel that was wished for stays. Raises `UserError` while it is pinned."""
    if before.pinned:
        raise UserError(
            f"Node {name} is pinned to the version that it runs.",
            resolution=f"Let it update again with `bedplate node pin {name} --off`.",
        )
    return Wish(version=version, channel=before.channel)


def rolled_back(before: Wish) -> Wish:
    """The wish to go back; a pin holds afterwards, for the version that the node goes back to."""
    return Wish(rollback=True, channel=before.channel, pinned=before.pinned)


@dataclass(frozen=True, slots=True)
class NodeObject:
    """The Node object of one node, by which people and its agent talk."""

    name: str
    kubectl: Kubectl

    def wish(self) -> Wish:
        return wish_of(self._annotations()) or Wish()

    def write(self, wish: Wish) -> None:
        self.kubectl.run(*annotate_arguments(self.name, wish))

    def status(self) -> Status:
        """Raises `PeerError` when no agent has told any."""
        text = self._annotations().get(STATUS)
        if text is None:
            raise PeerError(
                f"Node {self.name} has not told anything of updates yet.",
                resolution=f"See with `bedplate node console {self.name}` whether its agent runs.",
            )
        return msgspec.json.decode(text, type=Status)

    def _annotations(self) -> Mapping[str, str]:
        try:
            found = read_node(self.kubectl.run("get", "node", self.name, "--output=json").encode())
        except ProgramFailed as problem:
            if "(NotFound)" not in problem.details:
                raise
            message = f"There is no node {self.name}."
            raise UserError(message, resolution="List them with `kubectl get nodes`.") from problem
        return found.metadata.annotations


def tell(node: NodeObject, change: Callable[[Wish], Wish], clock: Clock, report: Report, *, wait: bool) -> None:
    """Change what is wanted of a node. A node that does not exist, or has no agent, would not hear of it."""
    before = node.status()
    asked = clock.now().isoformat(timespec="milliseconds")
    wish = msgspec.structs.replace(change(node.wish()), asked=asked)
    node.write(wish)
    if wait:
        wait_for(node, before, wish, clock, report)


def wait_for(node: NodeObject, before: Status, wish: Wish, clock: Clock, report: Report) -> None:
    """Until the node rests after it has heard of the wish. Raises `PeerError` when it did not become what was asked."""
    with report.step(f"Node {node.name}") as step:

        def missing() -> str:
            said = node.status()
            step.note(f"{said.state}: {said.doing}")
            return "" if said.asked == wish.asked and not said.busy else said.doing or said.state

        waited = wait_until(missing, clock, seconds=WAIT_SECONDS, every=POLL_SECONDS)
        said = node.status()
        why = waited.missing or why_not(before, said, wish)
        if why:
            raise PeerError(
                f"Node {node.name} runs {said.version}.",
                details=why,
                resolution=f"See what happened with `bedplate node history {node.name}`.",
            )
        step.note(said.version)


def _node_object(name: str) -> NodeObject:
    return NodeObject(name, the_cluster().kubectl(SystemRunner()))
