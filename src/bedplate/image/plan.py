"""What building an image would do, and why. Values in, a plan out."""

from __future__ import annotations

from dataclasses import dataclass

from bedplate.model.plans import Action, Verb

TOOLS_SECONDS, PACKAGES_SECONDS, AGENT_SECONDS, IMAGE_SECONDS = 75.0, 75.0, 10.0, 25.0


@dataclass(frozen=True, slots=True)
class Found:
    """What the cache holds of an order: `image` only counts where all that it is made from is known."""

    tools: bool
    packages: bool
    agent: bool
    programs: bool
    image: bool


def make_plan(found: Found, *, debug: bool) -> tuple[Action, ...]:
    """The steps of a build after the components, in their order."""
    name = "Image with a console" if debug else "Image"
    return (
        tree_action("Build tools", TOOLS_SECONDS, "os/tools.lock", there=found.tools),
        tree_action("Debian packages", PACKAGES_SECONDS, "os/packages.lock", there=found.packages),
        agent_action(there=found.agent),
        image_action(name, found),
    )


def tree_action(name: str, seconds: float, lock: str, *, there: bool) -> Action:
    if there:
        return Action(name, Verb.SKIP, f"{lock} is in the cache")
    return Action(name, Verb.RUN, f"{lock} is not in the cache", seconds)


def agent_action(*, there: bool) -> Action:
    if there:
        return Action("Agent", Verb.SKIP, "unchanged")
    return Action("Agent", Verb.RUN, "its sources, uv.lock or the build tools changed", AGENT_SECONDS)


def image_action(name: str, found: Found) -> Action:
    changed = {"build tools": found.tools, "packages": found.packages, "agent": found.agent, "programs": found.programs}
    missing = [part for part, there in changed.items() if not there]
    if missing:
        return Action(name, Verb.RUN, f"to be made first: {', '.join(missing)}", IMAGE_SECONDS)
    if found.image:
        return Action(name, Verb.SKIP, "unchanged")
    return Action(name, Verb.RUN, "recipe, programs, version or keys changed", IMAGE_SECONDS)
