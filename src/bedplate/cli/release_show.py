"""`bedplate release list`, `show` and `verify`: what a repository holds, and whether it is whole. No keys needed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import msgspec
import typer

from bedplate.cli.columns import Cells
from bedplate.cli.output import OutputFormat, OutputOption, emit
from bedplate.cli.release_options import RepositoryOption, store_of
from bedplate.cli.sections import Section, size
from bedplate.cli.sections import show as show_sections
from bedplate.host.clock import SystemClock
from bedplate.model.verdicts import Finding, Severity, fatal
from bedplate.release.publish.renewal import Expiry, expiries, refresh_command
from bedplate.release.publish.roles import OF_THE_ROOT, TARGETS
from bedplate.release.publish.shown import Shown, read_shown
from bedplate.release.publish.verify import verify as look_at
from bedplate.release.trust.layout import CHANNELS, RELEASES
from bedplate.wire.release import Channel, PayloadKind, Release

KEY_CHARACTERS = 12
COLUMNS = {"": "severity", "About": "about", "Found": "message", "What to do": "advice"}


class Listed(msgspec.Struct, frozen=True):
    """A published version: `size` is what a node fetches at most, in bytes; `withdrawn` is the reason if it was."""

    version: str
    kubernetes: str
    made: datetime
    size: int
    deltas: int
    channels: tuple[str, ...]
    withdrawn: str


class Holder(msgspec.Struct, frozen=True):
    """The keys of a role, of which `threshold` have to sign."""

    role: str
    threshold: int
    keys: tuple[str, ...]


class Overview(msgspec.Struct, frozen=True):
    """A repository: its channels, who signs, and how long that holds."""

    channels: tuple[Channel, ...]
    holders: tuple[Holder, ...]
    expiries: tuple[Expiry, ...]


def list_releases(*, repository: RepositoryOption = None, output: OutputOption = OutputFormat.table) -> None:
    """Print every published version, the newest first."""
    shown = read_shown(store_of(repository))
    columns = {"Version": "version", "Channels": "channels", "Bytes": "size", "Deltas": "deltas"}
    emit(list(listed(shown)), output=output, columns={**columns, "Withdrawn": "withdrawn"})


def show(
    version: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="A published version; default: the repository itself.")
    ] = None,
    *,
    repository: RepositoryOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Print what a version consists of, or who signs and until when.

    Of the repository itself: channels, keys and expiries of all roles.
    """
    shown = read_shown(store_of(repository))
    if version is None:
        found = overview(shown, SystemClock().now())
        if output is OutputFormat.json:
            emit(found, output=output)
        else:
            show_sections(overview_sections(found))
    elif output is OutputFormat.json:
        emit(shown.release(version), output=output)
    else:
        show_sections(release_sections(shown.release(version)))


def verify(*, repository: RepositoryOption = None, output: OutputOption = OutputFormat.table) -> None:
    """Look at every file of a repository, and name all that is damaged.

    Exits with 3 when something is.
    """
    store = store_of(repository)
    findings = look_at(store, SystemClock().now())
    whole = Finding(Severity.GOOD, str(store.folder), "Every file is there and as it was signed.")
    emit(findings or [whole], output=output, columns=COLUMNS)
    if fatal(findings):
        raise typer.Exit(3)


def listed(shown: Shown) -> Iterator[Listed]:
    for version in shown.versions:
        release, found = shown.release(version), shown.withdrawn.find(version)
        yield Listed(
            version=version,
            kubernetes=release.kubernetes,
            made=release.made,
            size=sum(payload.size for payload in release.payloads if payload.kind is PayloadKind.FULL),
            deltas=sum(payload.kind is PayloadKind.DELTA for payload in release.payloads),
            channels=tuple(channel.name for channel in shown.channels if channel.version == version),
            withdrawn=found.reason if found else "",
        )


def overview(shown: Shown, now: datetime) -> Overview:
    root, targets = shown.root.signed, shown.roles[TARGETS]
    roles = {name: root.roles[name] for name in OF_THE_ROOT}
    roles |= {name: targets.get_delegated_role(name) for name in (RELEASES, CHANNELS)}
    holders = tuple(Holder(name, role.threshold, tuple(role.keyids)) for name, role in roles.items())
    return Overview(tuple(shown.channels), holders, tuple(expiries(shown, now)))


def overview_sections(found: Overview) -> Iterator[Section]:
    yield Section(
        "Channels",
        [(channel.name, channel.version, f"{channel.since:%Y-%m-%d}") for channel in found.channels],
        ("Name", "Version", "Since"),
    )
    yield Section(
        "Keys",
        [
            (each.role, f"{each.threshold} of {len(each.keys)}", " ".join(key[:KEY_CHARACTERS] for key in each.keys))
            for each in found.holders
        ],
        ("Role", "Signs", "Keys, by the beginning of their id"),
    )
    yield Section("Signatures", [expiry_cells(each) for each in found.expiries], ("Role", "Version", "Expires", ""))


def expiry_cells(each: Expiry) -> Cells:
    renew = f"{'EXPIRED' if each.days < 0 else 'soon'}: {refresh_command(each.role)}"
    note = renew if each.soon or each.days < 0 else f"{each.days:.0f} days"
    return each.role, str(each.version), f"{each.expires:%Y-%m-%d}", note


def release_sections(release: Release) -> Iterator[Section]:
    yield Section(
        "Release",
        [
            ("Version:", release.version),
            ("Made:", f"{release.made:%Y-%m-%d %H:%M} UTC"),
            ("Kubernetes:", release.kubernetes),
            ("Kernel:", release.kernel),
            ("From:", release.minimum or "any version"),
            ("Root hash:", release.verity.root_hash),
        ],
    )
    yield Section(
        "Payloads",
        [(each.part, each.kind, size(each.size), each.base or "-") for each in release.payloads],
        ("Part", "Kind", "Size", "Made against"),
    )
