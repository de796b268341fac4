"""Why a release is not installed on this node now."""

from __future__ import annotations

from bedplate.model.versions import ImageVersion
from bedplate.node.update.facts import Facts
from bedplate.node.update.memory import Memory
from bedplate.wire.desired import Wish
from bedplate.wire.release import Release


def refusal(memory: Memory, facts: Facts, wish: Wish, release: Release) -> str:  # noqa: PLR0911 — a ladder: the first rung that holds
    """Why this release is not installed here now; empty when it is to be."""
    root_hash = release.verity.root_hash
    if root_hash == facts.root_hash:
        return f"{release.version} runs"
    if release.version == facts.version:
        return f"{release.version} runs with another root hash, and a version never changes: the repository is wrong"
    if why := _no_fallback(facts):
        return why
    failure = memory.failure_of(root_hash)
    if failure is not None and (wish.rollback or wish.asked in ("", failure.asked)):
        return f"{release.version} is not tried again unless told: {failure.reason}"
    wanted, running = ImageVersion.parse(release.version), ImageVersion.parse(facts.version)
    if release.minimum and running < ImageVersion.parse(release.minimum):
        return f"{release.version} can be reached from {release.minimum} on, and this is {facts.version}"
    if wanted.architecture != running.architecture:
        return f"{release.version} is for another architecture"
    if wanted < running and wish.version != release.version:
        return f"{release.version} is older than {facts.version}; only a wish for it by name goes back"
    return _after_going_back(memory, wanted) if wish.rollback else ""


def _no_fallback(facts: Facts) -> str:
    """Why what runs could not be gone back to; empty when it can. Nothing is written before it can."""
    if not facts.judged:
        return f"the running {facts.version} has not been judged yet"
    if facts.running is None:
        return f"the ESP has no UKI of the running {facts.version}"
    if facts.running.left is not None:
        wrong = "; ".join(facts.unhealthy)
        return f"the running {facts.version} has to be healthy in one boot before another is installed: {wrong}"
    return ""


def _after_going_back(memory: Memory, wanted: ImageVersion) -> str:
    """Why this is not taken by a node that went back: it is not newer than what was left, or dropped or taken since."""
    if memory.target is None:
        return "the node was told to go back, and stays there until it is told of a version"
    if wanted <= ImageVersion.parse(memory.target.version):
        return f"the node was told to go back, and by itself takes only what is newer than {memory.target.version}"
    return ""
