"""`bedplate image`: the node image, from recipe to disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bedplate.cli.components import CHECKOUT, RootOption
from bedplate.cli.context import places, report
from bedplate.cli.output import OutputFormat, OutputOption, emit
from bedplate.host.run import SystemRunner
from bedplate.image.build import Image, ImageOrder, build_image
from bedplate.image.components.build import build_components
from bedplate.image.components.catalogue import Role, read_catalogue
from bedplate.image.packages import host_mirror
from bedplate.model.versions import SKU, ImageVersion, KubernetesMinor

app = typer.Typer(help="The node image.", no_args_is_help=True, rich_markup_mode=None)

KeysOption = Annotated[
    Path | None,
    typer.Option("--keys", help="A folder with db.key and db.crt to sign with; default: a development pair."),
]
MirrorOption = Annotated[
    str | None,
    typer.Option("--mirror", envvar="BEDPLATE_MIRROR", help="Debian mirror; default: the one apt uses here."),
]


class BuiltImage(msgspec.Struct, frozen=True):
    """An image that is ready for use."""

    version: str
    disk: Path


@app.command()
def build(
    *,
    keys: KeysOption = None,
    mirror: MirrorOption = None,
    root: RootOption = CHECKOUT,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Build the image where the cache lacks it, and print where it is."""
    image = have_image(root, keys=keys, mirror=mirror)
    emit(BuiltImage(image.manifest.version, image.disk), output=output)


def have_image(root: Path, *, keys: Path | None = None, mirror: str | None = None) -> Image:
    """The image of a checkout with the programs that go into it, all built where the cache lacks them."""
    runner = SystemRunner()
    programs = build_components(root=root, places=places(), runner=runner, report=report(), role=Role.IMAGE)
    return image_of(root, programs, keys=keys, mirror=mirror)


def image_of(root: Path, programs: Mapping[str, Path], *, keys: Path | None = None, mirror: str | None = None) -> Image:
    """The image of a checkout, of programs that are built; those that do not go into it are left out."""
    runner = SystemRunner()
    catalogue = read_catalogue(root / "components")
    names = {tool.name for component in catalogue for tool in component.tools if tool.role is Role.IMAGE}
    order = ImageOrder(
        recipe=root / "os",
        programs={name: path for name, path in programs.items() if name in names},
        version=recipe_version(root),
        mirror=mirror or host_mirror(runner),
        keys=keys,
    )
    return build_image(order, places=places(), runner=runner, report=report())


def recipe_version(root: Path) -> ImageVersion:
    """The version of the image: the minor of the Kubernetes in components/, the day and count in os/version."""
    kubernetes = next(c for c in read_catalogue(root / "components") if c.name == "kubernetes")
    made = (root / "os/version").read_text().strip()
    return ImageVersion.parse(f"{SKU}-{KubernetesMinor.parse(kubernetes.version)}-amd64-{made}")
