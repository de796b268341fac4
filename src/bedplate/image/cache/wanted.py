"""What of the cache a checkout would take for its next build."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bedplate.host.places import Places
from bedplate.host.run import Runner
from bedplate.image.agent import PACKAGES as AGENT_PACKAGES
from bedplate.image.agent import PYTHON, agent_place
from bedplate.image.build import DEVELOPMENT_KEYS, image_place
from bedplate.image.components.build import make_order, programs_of
from bedplate.image.components.catalogue import Role
from bedplate.image.debs import Debs
from bedplate.image.keys import SigningPair
from bedplate.image.lock import Lock
from bedplate.image.order import ImageOrder
from bedplate.image.packages import packages_place
from bedplate.image.recipe import packages_lock, tools_lock
from bedplate.image.tools import tools_place
from bedplate.image.wheels import choose_wheels
from bedplate.model.versions import ImageVersion


def wanted_by(root: Path, version: ImageVersion, *, places: Places, runner: Runner) -> frozenset[Path]:
    """The entries, as they would be named, of the checkout `root` with its image of this version."""
    recipe = root / "os"
    tools = tools_place(recipe, tools_lock(recipe), places)
    packages = packages_place(recipe, packages_lock(recipe), tools, places)
    agent = agent_place(root / "uv.lock", tools, places)
    components = make_order(None, root=root, places=places, runner=runner)
    programs = programs_of(components, Role.IMAGE)
    found = {tools, packages, agent, components.toolchain.path(places.cache)}
    found |= {components.path(component) for component in components.components}
    found |= set(debs(places, tools_lock(recipe), packages_lock(recipe)))
    wheels = choose_wheels((root / "uv.lock").read_bytes(), AGENT_PACKAGES, PYTHON)
    found |= {places.cache / "downloads/wheels" / wheel.sha256 for wheel in wheels}
    pair = SigningPair(places.state / DEVELOPMENT_KEYS)
    if pair.certificate.is_file() and all(path.is_file() for path in programs.values()):
        for debug in (False, True):
            order = ImageOrder(recipe, programs, version, mirror="", debug=debug)
            found.add(image_place(order, pair, packages, agent, places))
    return frozenset(found)


def debs(places: Places, *locks: Lock) -> Iterator[Path]:
    for lock in locks:
        stock = Debs(lock, places.cache / "downloads/debs")
        yield from (stock.path(package) for package in lock.packages)
