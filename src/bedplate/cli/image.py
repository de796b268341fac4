"""`bedplate image`: the node image, from recipe to disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bedplate.cli.components import CHECKOUT, RootOption
from bedplate.cli.context import environment, places, report
from bedplate.cli.image_show import diff_images, inspect_image
from bedplate.cli.output import OutputFormat, OutputOption, emit
from bedplate.cli.plans import DryRunOption, emit_plan
from bedplate.host.clock import SystemClock
from bedplate.host.download import HttpDownloader
from bedplate.host.run import SystemRunner
from bedplate.image.anchor import development_root, known_root, own_root
from bedplate.image.build import Image, build_image, plan_image
from bedplate.image.components.build import World, build_components, make_order, plan_order, programs_of
from bedplate.image.components.catalogue import Role, read_catalogue
from bedplate.image.keys import own_signer
from bedplate.image.mirrors import host_mirror
from bedplate.image.order import ImageOrder
from bedplate.image.recipe import require_whole
from bedplate.image.relock import relock
from bedplate.model.errors import UserError
from bedplate.model.plans import Action
from bedplate.model.versions import SKU, ImageVersion, KubernetesMinor

app = typer.Typer(help="The node image.", no_args_is_help=True, rich_markup_mode=None)

KeysOption = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        metavar="FOLDER",
        help="Where db.crt and db.key or db.uri are, to sign with.",
        show_default="a development pair",
    ),
]
MirrorOption = Annotated[
    str | None,
    typer.Option(
        "--mirror",
        metavar="URL",
        envvar="BEDPLATE_MIRROR",
        help="The Debian mirror.",
        show_default="the one that apt uses here",
    ),
]


TrustOption = Annotated[
    Path | None,
    typer.Option(
        "--trust",
        metavar="FILE",
        help="The newest metadata/N.root.json of your releases.",
        show_default="that of the development one",
    ),
]
DebugOption = Annotated[
    bool, typer.Option("--debug", help="A development image, named so, with a shell on its console.")
]


class BuiltImage(msgspec.Struct, frozen=True):
    """An image that is ready for use."""

    version: str
    debug: bool
    disk: Path


@app.command()
def build(
    *,
    debug: DebugOption = False,
    version: Annotated[
        str | None,
        typer.Option(
            "--version",
            metavar="VERSION",
            help="Its version, as Bedplate-1.37-amd64-202611.24.0.",
            show_default="as os/version and components/ say",
        ),
    ] = None,
    keys: KeysOption = None,
    mirror: MirrorOption = None,
    trust: TrustOption = None,
    dry_run: DryRunOption = False,
    root: RootOption = CHECKOUT,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Build the image where the cache lacks it, and print where it is.

    It is made of the packages in os/packages.lock and no others.
    """
    if debug and keys:
        raise UserError(
            "A development image is not signed with keys of your own.",
            details="It has a root shell on its console, and every machine that trusts the keys would boot it.",
            resolution="Leave --keys out: the development pair signs it.",
        )
    chosen = ImageVersion.parse(version) if version else None
    if dry_run:
        if keys:
            own_signer(keys, environment())
        emit_plan(plan(root, version=chosen, keys=keys, debug=debug, trust=trust), output=output)
        return
    image = have_image(root, version=chosen, keys=keys, mirror=mirror, debug=debug, trust=trust)
    emit(BuiltImage(image.manifest.version, image.manifest.debug, image.disk), output=output)


@app.command()
def lock(
    *, mirror: MirrorOption = None, root: RootOption = CHECKOUT, output: OutputOption = OutputFormat.table
) -> None:
    """Lock the Debian packages that the mirror has now.

    Writes os/packages.lock (the image) and os/tools.lock (what builds it), and
    a new os/version when the image's packages changed. Prints what changed.
    """
    require_whole(root / "os")
    runner = SystemRunner()
    today = SystemClock().now().date()
    chosen = mirror or host_mirror(runner)
    changes = relock(root / "os", mirror=chosen, today=today, places=places(), runner=runner, report=report())
    emit(changes, output=output, columns={"Lock": "lock", "Package": "package", "Old": "old", "New": "new"})


app.command(name="inspect")(inspect_image)
app.command(name="diff")(diff_images)


def have_image(
    root: Path,
    *,
    version: ImageVersion | None = None,
    keys: Path | None = None,
    mirror: str | None = None,
    debug: bool = False,
    trust: Path | None = None,
) -> Image:
    """The image of a checkout with the programs that go into it, all built where the cache lacks them."""
    if trust:
        own_root(trust)
    require_whole(root / "os")
    if keys:
        own_signer(keys, environment())
    programs = build_components(root=root, places=places(), runner=SystemRunner(), report=report(), role=Role.IMAGE)
    return image_of(root, programs, version=version, keys=keys, mirror=mirror, debug=debug, trust=trust)


def image_of(
    root: Path,
    programs: Mapping[str, Path],
    *,
    version: ImageVersion | None = None,
    keys: Path | None = None,
    mirror: str | None = None,
    debug: bool = False,
    trust: Path | None = None,
) -> Image:
    """The image of a checkout, of programs that are built; those that do not go into it are left out."""
    runner = SystemRunner()
    catalogue = read_catalogue(root / "components")
    names = {tool.name for component in catalogue for tool in component.tools if tool.role is Role.IMAGE}
    order = ImageOrder(
        recipe=root / "os",
        programs={name: path for name, path in programs.items() if name in names},
        version=version or recipe_version(root),
        root=own_root(trust) if trust else development_root(places().state / "release", SystemClock().now()),
        mirror=mirror or host_mirror(runner),
        keys=keys,
        debug=debug,
        environment=environment(),
    )
    return build_image(order, places=places(), runner=runner, downloader=HttpDownloader(), report=report())


def plan(
    root: Path,
    *,
    version: ImageVersion | None = None,
    keys: Path | None = None,
    debug: bool = False,
    trust: Path | None = None,
    role: Role | None = Role.IMAGE,
) -> tuple[Action, ...]:
    """What `have_image` would do, components of that role (all for `None`) first; nothing is changed."""
    require_whole(root / "os")
    components = make_order(None, root=root, places=places(), runner=SystemRunner(), role=role)
    steps = plan_order(components, World.real().machine).actions
    there = not any(step.runs for step in steps)
    programs = programs_of(components, Role.IMAGE) if there else {}
    trusted = own_root(trust) if trust else known_root(places().state / "release")
    version = version or recipe_version(root)
    order = ImageOrder(root / "os", programs, version, mirror="", keys=keys, debug=debug, root=trusted)
    return (*steps, *plan_image(order, places=places(), programs_there=there))


def recipe_version(root: Path) -> ImageVersion:
    """The version of the image: the minor of the Kubernetes in components/, the day and count in os/version."""
    kubernetes = next(c for c in read_catalogue(root / "components") if c.name == "kubernetes")
    made = (root / "os/version").read_text().strip()
    return ImageVersion.parse(f"{SKU}-{KubernetesMinor.parse(kubernetes.version)}-amd64-{made}")
