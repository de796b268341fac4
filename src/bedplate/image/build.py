"""From recipe and programs to a node image: what is in the cache, and the steps in between."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from bedplate.host.download import Downloader
from bedplate.host.files import discard, folder_in_one_step, remove_leftovers
from bedplate.host.locks import in_turn
from bedplate.host.places import Places
from bedplate.host.report import Report, Step
from bedplate.host.run import Runner
from bedplate.image.agent import agent_place, make_agent
from bedplate.image.anchor import bake
from bedplate.image.debs import Supply
from bedplate.image.describe import describe
from bedplate.image.disk import make_disk, make_erofs, make_uki, make_verity
from bedplate.image.keys import SigningPair, development_pair, own_pair
from bedplate.image.manifest import Manifest, read_manifest, write_manifest
from bedplate.image.order import ImageOrder, order_key
from bedplate.image.packages import have_packages, packages_place
from bedplate.image.plan import Found, make_plan
from bedplate.image.recipe import packages_lock, read_rules, tools_lock
from bedplate.image.stage import Sources, Staged, stage
from bedplate.image.tools import Tools, have_tools, tools_place
from bedplate.image.whole import damage
from bedplate.model.plans import Action

KEPT = {"disk.raw", "db.crt", "manifest.json", "uki.efi", "usr.erofs", "usr.verity", "usr.verity-sig", "initrd.zst"}
DEVELOPMENT_KEYS = "keys/development"


@dataclass(frozen=True, slots=True)
class Image:
    """A finished image: `disk` is what a machine boots, `certificate` what its firmware has to trust.

    `tools` is the tree of build tools that it was made with.
    """

    folder: Path
    manifest: Manifest
    tools: Path

    @property
    def disk(self) -> Path:
        return self.folder / "disk.raw"

    @property
    def certificate(self) -> Path:
        return self.folder / "db.crt"


@dataclass(frozen=True, slots=True)
class Materials:
    """What an image is put together from and by."""

    tools: Tools
    pair: SigningPair
    packages: Path
    agent: Path


def build_image(order: ImageOrder, *, places: Places, runner: Runner, downloader: Downloader, report: Report) -> Image:
    """The image of the order, built where the cache lacks it. Two at once wait for each other."""
    supply = Supply(order.mirror, downloader, places, report)
    with in_turn(places.cache / "locks/image", doing="building an image", waiting=report.step):
        tools = have_tools(order.recipe, supply, runner)
        pair = own_pair(order.keys) if order.keys else development_pair(places.state / DEVELOPMENT_KEYS, tools)
        packages = have_packages(order.recipe, tools, supply)
        agent = make_agent(order.wheels, tools=tools, places=places, downloader=downloader, report=report)
        materials = Materials(tools, pair, packages, agent)
        folder = image_place(order, pair, packages, agent, places)
        make_image(folder, order, materials, report)
    return Image(folder, read_manifest(folder), tools.tree)


def make_image(folder: Path, order: ImageOrder, materials: Materials, report: Report) -> None:
    """Assemble the image in `folder` unless a whole one is there."""
    wrong = damage(folder) if folder.is_dir() else ""
    if folder.is_dir() and not wrong:
        report.skipped("Image", "unchanged")
        return
    remove_leftovers(folder)
    with report.step("Image") as step, folder_in_one_step(folder) as scratch:
        assemble(order, materials, scratch, step)
        discard(folder)
        step.note(f"again, since in the cache {wrong}" if wrong else "")


def plan_image(order: ImageOrder, *, places: Places, programs_there: bool) -> tuple[Action, ...]:
    """What `build_image` would do now, and why; changes nothing."""
    tools = tools_place(order.recipe, tools_lock(order.recipe), places)
    packages = packages_place(order.recipe, packages_lock(order.recipe), tools, places)
    agent = agent_place(order.wheels, tools, places)
    pair = SigningPair(order.keys or places.state / DEVELOPMENT_KEYS)
    known = programs_there and pair.certificate.is_file()
    found = Found(
        tools=tools.is_dir(),
        packages=packages.is_dir(),
        agent=agent.is_dir(),
        programs=programs_there,
        image=known and not damage(image_place(order, pair, packages, agent, places)),
    )
    return make_plan(found, debug=order.debug)


def image_place(order: ImageOrder, pair: SigningPair, packages: Path, agent: Path, places: Places) -> Path:
    return places.cache / "images" / order_key(order, pair.certificate, packages, agent)


def assemble(order: ImageOrder, materials: Materials, out: Path, step: Step) -> None:
    """Everything from the rules to the disk, in the folder `out`."""
    tools, version = materials.tools, str(order.version)
    step.note("files of /usr")
    sources = Sources(materials.packages, order.recipe, order.programs, materials.agent, debug=order.debug)
    staged = stage(sources, read_rules(order.recipe, debug=order.debug), out / "root", tools=tools, version=version)
    bake(order.root, staged.root)
    step.note("erofs and verity")
    make_erofs(out, tools=tools, version=version)
    verity = make_verity(out, materials.pair, tools=tools)
    step.note("kernel and initrd")
    kernel = kernel_file(materials.packages, staged)
    make_uki(
        staged,
        order.recipe,
        out,
        kernel=kernel,
        verity=verity,
        pair=materials.pair,
        tools=tools,
        moment=order.moment,
    )
    step.note("disk")
    make_disk(order.recipe, out, verity, tools=tools, version=version, moment=order.moment)
    write_manifest(out, describe(out, staged, materials.packages, order, verity))
    clear(out)


def kernel_file(packages: Path, staged: Staged) -> Path:
    """Where Debian puts the kernel, newly or as ever."""
    kernel = packages / "usr/lib/modules" / staged.kernel / "vmlinuz"
    return kernel if kernel.exists() else packages / f"boot/vmlinuz-{staged.kernel}"


def clear(folder: Path) -> None:
    """Remove what was needed on the way only."""
    shutil.rmtree(folder / "root")
    for path in folder.iterdir():
        if path.name not in KEPT:
            path.unlink()
