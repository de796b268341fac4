"""The command `bedplate`: its nouns, and what it says and returns when something goes wrong."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TextIO

import typer
from typer.main import get_command

from bedplate.cli import cache, cluster, components, image, node, nodepool, preflight, release, tour
from bedplate.cli.context import command, places, started_in, typed
from bedplate.host.clock import SystemClock
from bedplate.host.files import write_atomically
from bedplate.model.errors import BedplateError, MachineError, OurError

VERSION = "0.1.0"
"""As in pyproject.toml; a checkout runs without being installed, so nothing else could be asked."""
INTERRUPTED = 130
PIPE_CLOSED = 141
_FREE = "Free some space (`bedplate cache prune`), then try again: what is in the cache is whole."
THE_MACHINE_SAYS = {
    errno.ENOSPC: ("The disk is full", _FREE),
    errno.EDQUOT: ("Your share of the disk is used up", _FREE),
    errno.EROFS: ("The disk cannot be written to", "Set XDG_CACHE_HOME and XDG_STATE_HOME to folders that can."),
    errno.EACCES: ("You may not do this", "Look whose it is: a run as root leaves what only root may change."),
}

app = typer.Typer(
    name="bedplate",
    help="An immutable, self-updating node OS for Kubernetes node pools.",
    context_settings={"help_option_names": ["--help", "-h"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(components.app, name="components")
app.add_typer(image.app, name="image")
app.add_typer(cache.app, name="cache")
app.add_typer(release.app, name="release")
app.add_typer(cluster.app, name="cluster")
app.add_typer(nodepool.app, name="nodepool")
app.add_typer(node.app, name="node")
app.command()(preflight.preflight)
app.command()(tour.tour)


@dataclass
class Settings:
    """What the options before the noun say; `main` reads it when a command breaks."""

    debug: bool = False


def _print_version(value: bool) -> None:  # noqa: FBT001  # the callback's signature is the library's
    if value:
        sys.stdout.write(f"bedplate {VERSION}\n")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    *,
    debug: Annotated[
        bool,
        typer.Option("--debug", envvar="BEDPLATE_DEBUG", help="Show where in the code an error arose."),
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    del version  # its callback has already answered
    settings = context.ensure_object(Settings)
    settings.debug = debug


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Run one command and give its exit code; docs/reference/exit-codes.md lists them."""
    with started_in(environment):
        return _main(arguments, Settings(debug=bool(environment.get("BEDPLATE_DEBUG"))))


def _main(arguments: Sequence[str] | None, settings: Settings) -> int:
    try:
        code = _run(arguments, settings)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        return PIPE_CLOSED
    except Exception as problem:  # noqa: BLE001  # the last place that can turn it into a message
        return tell(problem, settings=settings, file=sys.stderr, crash=_crash_file())
    if code == INTERRUPTED:
        sys.stderr.write("Interrupted.\n")
    return code


def _run(arguments: Sequence[str] | None, settings: Settings) -> int:
    """The library ends every command with SystemExit; Ctrl-C is 130 there."""
    words = _as_option(sys.argv[1:] if arguments is None else arguments)
    # Help reads as its page in the reference, and a shell completes one word; errors name what was typed.
    plain = any(word in {"--help", "-h"} or word.endswith("-completion") for word in words)
    try:
        get_command(app).main(args=words, prog_name="bedplate" if plain else command(), obj=settings)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _as_option(words: Sequence[str]) -> list[str]:
    """`help nodepool add` as `nodepool add --help`."""
    return [*words[1:], "--help"] if words[:1] == ["help"] else list(words)


def tell(problem: Exception, *, settings: Settings, file: TextIO, crash: Path | None) -> int:
    """Write what went wrong, whose fault it is and what to do; give the exit code.

    The traceback of what nobody foresaw is kept in the file `crash`, unless it is asked for at once.
    """
    foreseen = _foreseen(problem)
    if settings.debug:
        file.write("".join(traceback.format_exception(problem)))
    if foreseen:
        file.write("\n".join(describe(error) for error in foreseen))
        return foreseen[0].exit_code
    summary = " ".join(traceback.format_exception_only(problem)[-1].split())
    file.write(f"Bedplate broke: {summary}\n")
    if not settings.debug:
        saved = crash is not None and _save(problem, crash)
        advice = f"Please report it with {crash}." if saved else "Run it again with --debug to see where."
        file.write(f"{advice}\n")
    return OurError.exit_code


def describe(error: BedplateError) -> str:
    """A foreseen error as people read it: what, whose fault, facts, what to do, with commands as they type them."""
    parts = [f"Error: {error.brief}", f"  At fault: {error.fault}"]
    if error.details:
        parts += [f"  {line}".rstrip() for line in error.details.splitlines()]
    if error.resolution:
        first, *rest = error.resolution.splitlines()
        parts += [f"  What to do: {first}", *(f"    {line}" for line in rest)]
    return typed("\n".join(parts)) + "\n"


def _foreseen(problem: BaseException) -> list[BedplateError]:
    """The foreseen errors in it; empty as soon as anything else is among them."""
    if isinstance(problem, BedplateError):
        return [problem]
    if isinstance(problem, OSError) and problem.errno in THE_MACHINE_SAYS:
        return [_of_machine(problem)]
    if isinstance(problem, BaseExceptionGroup):
        inner = [_foreseen(each) for each in problem.exceptions]
        return [error for errors in inner for error in errors] if all(inner) else []
    return []


def _of_machine(problem: OSError) -> MachineError:
    """What the system refused us wherever it may happen, so that no place has to foresee it."""
    where = f" ({problem.filename})" if problem.filename else ""
    brief, resolution = THE_MACHINE_SAYS[problem.errno or 0]
    return MachineError(f"{brief}{where}.", details=str(problem), resolution=resolution)


def _crash_file() -> Path | None:
    try:
        return places().state / "crashes" / f"{SystemClock().now():%Y%m%dT%H%M%S}-{os.getpid()}.txt"
    except BedplateError:
        return None


def _save(problem: Exception, path: Path) -> bool:
    try:
        write_atomically(path, "".join(traceback.format_exception(problem)).encode())
    except (OSError, MachineError):
        return False
    return True


def _silence_stdout() -> None:
    """The reader went away: what is still buffered has nowhere to go, and nobody to be told."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
