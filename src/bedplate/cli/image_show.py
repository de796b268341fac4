"""`bedplate image inspect` and `diff`: what an image holds, and what changed between two."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import PurePosixPath
from typing import Annotated

import typer

from bedplate.cli.columns import Cells
from bedplate.cli.components import CHECKOUT, RootOption
from bedplate.cli.context import places
from bedplate.cli.output import OutputFormat, OutputOption, emit
from bedplate.cli.sections import Section, paragraph, show, signed, size
from bedplate.host.run import SystemRunner
from bedplate.image.diff import Difference, ImageDiff, Kind, diff
from bedplate.image.inspect import TENTHS, Inspection, Tenth, inspect
from bedplate.image.manifest import Executable, read_manifest
from bedplate.image.recipe import tools_lock
from bedplate.image.stock import check_signature, find_image
from bedplate.image.tools import Tools, tools_place

OldArgument = Annotated[str, typer.Argument(metavar="OLD", help="A folder or a version.")]
NewArgument = Annotated[str, typer.Argument(metavar="NEW", help="Another one.")]
NewestArgument = Annotated[
    str | None, typer.Argument(metavar="IMAGE", help="A folder or a version.", show_default="the newest")
]
OWNERS_NAMED = 3
DIGEST_CHARACTERS = 64
MARKS = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.CHANGED: "~"}


def inspect_image(
    image: NewestArgument = None, *, root: RootOption = CHECKOUT, output: OutputOption = OutputFormat.table
) -> None:
    """Print what is in an image, and why.

    Partitions, programs, units, packages and sizes; every program has the
    reason why a node has it. JSON holds the same.
    """
    folder = find_image(image, places())
    tools = Tools(tools_place(root / "os", tools_lock(root / "os"), places()), SystemRunner())
    found = inspect(read_manifest(folder), folder=str(folder), uki=check_signature(folder, tools))
    if output is OutputFormat.json:
        emit(found, output=output)
    else:
        show(inspection_sections(found))


def diff_images(old: OldArgument, new: NewArgument, *, output: OutputOption = OutputFormat.table) -> None:
    """Print what changed from one image to another.

    Package by package and file by file, with byte counts. JSON holds the same.
    """
    found = diff(*(read_manifest(find_image(each, places())) for each in (old, new)))
    if output is OutputFormat.json:
        emit(found, output=output)
    else:
        show(diff_sections(found))


def inspection_sections(found: Inspection) -> Iterator[Section]:
    """The whole image, the largest questions first."""
    yield Section("Image", head(found))
    yield Section(
        "Partitions",
        [(part.label, size(part.size), size(part.used)) for part in found.partitions],
        ("Label", "Size", "Used"),
    )
    yield Section("Signatures", signatures(found))
    yield paragraph("Kernel command line", found.command_line)
    yield Section(f"Programs: {found.on_path} on PATH, {found.programs} in all of /usr", None)
    yield from program_sections(found.executables)
    yield Section(
        "Units that a boot starts",
        [(target, unit) for target, units in found.units.items() for unit in units],
        ("By", "Unit"),
    )
    yield Section(
        f"Packages: {len(found.packages)}",
        [(each.name, size(each.size), each.version) for each in found.packages],
        ("Name", "In /usr", "Version"),
    )
    yield Section(
        f"What each tenth of /usr is spent on, {size(found.size // TENTHS)} each",
        [tenth_cells(each) for each in found.tenths],
    )


def head(found: Inspection) -> list[Cells]:
    kind = "DEBUG: a shell on its console, for development only" if found.debug else "for nodes"
    return [
        ("Version:", found.version),
        ("Kind:", kind),
        ("Kernel:", found.kernel),
        ("Files in /usr:", f"{found.files} with {size(found.size)}"),
        ("Folder:", found.folder),
    ]


def signatures(found: Inspection) -> list[Cells]:
    signed_by = found.signatures
    return [
        ("uki.efi", signed_by.uki),
        ("Certificate", signed_by.certificate_sha256),
        ("Root hash", signed_by.root_hash),
    ]


def program_sections(programs: tuple[Executable, ...]) -> Iterator[Section]:
    """One table for each folder, since the folder's name would take up half of every line."""
    ordered = sorted(programs, key=folder_of)
    for folder, inside in groupby(ordered, folder_of):
        cells = [(PurePosixPath(each.path).name, size_or_link(each), each.reason) for each in inside]
        yield Section(f"  /{folder}", cells)


def folder_of(program: Executable) -> str:
    return str(PurePosixPath(program.path).parent)


def size_or_link(program: Executable) -> str:
    return "link" if program.target else size(program.size)


def tenth_cells(tenth: Tenth) -> Cells:
    """The largest owners by name, the others by number."""
    named = [f"{share.owner} {size(share.size)}" for share in tenth.shares[:OWNERS_NAMED]]
    others = tenth.shares[OWNERS_NAMED:]
    if others:
        named.append(f"{len(others)} more {size(sum(share.size for share in others))}")
    return (f"{tenth.tenth}", ", ".join(named))


def diff_sections(found: ImageDiff) -> Iterator[Section]:
    """The summary, then what differs from the whole to the single file."""
    total = found.summary
    if total.same:
        yield paragraph("Summary", "The two images hold the same.")
        return
    yield paragraph(
        "Summary",
        f"{found.old} to {found.new}: {total.packages} packages and {total.files} files differ, "
        f"{total.files_alike} files are alike. New and changed files have {size(total.rewritten)}; "
        f"/usr changes by {signed(total.grown)}.",
    )
    yield differences("Facts", found.facts)
    packages = [(MARKS[row.kind], row.name, signed(row.grown), change(row)) for row in found.packages]
    yield Section("Packages", packages, ("", "Name", "In /usr", "Version"))
    yield differences("Programs", found.executables)
    yield differences("Units", found.units)
    yield differences("Kernel command line", found.command_line)
    yield differences("Partitions", found.partitions)
    files = [(MARKS[each.kind], each.owner, signed(each.grown), each.path) for each in found.files]
    yield Section("Files", files, ("", "From", "Bytes", "Path"))


def differences(title: str, rows: tuple[Difference, ...]) -> Section:
    return Section(title, [(MARKS[row.kind], row.name, change(row)) for row in rows])


def change(row: Difference) -> str:
    match row.kind:
        case Kind.ADDED:
            return short(row.new)
        case Kind.REMOVED:
            return short(row.old)
        case Kind.CHANGED:
            return f"{short(row.old)} -> {short(row.new)}"


def short(text: str) -> str:
    """Digests are told apart by their beginning."""
    return text[:12] if len(text) == DIGEST_CHARACTERS else text
