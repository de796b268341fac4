"""What comes next on the way to the wanted version: facts, memory and wish in, one step with its reason out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bedplate.node.slots.loader import Entry
from bedplate.node.update.facts import Facts, Offer
from bedplate.node.update.memory import Memory, Target
from bedplate.node.update.refusal import refusal
from bedplate.node.update.states import State
from bedplate.wire.desired import NOWHERE, STAYS, Wish
from bedplate.wire.release import Release


class Deed(StrEnum):
    """All that the agent does; each may be done again."""

    WAIT = "wait"
    BEGIN = "begin"
    CLEAR = "clear the other slot's UKI"
    WRITE = "write /usr"
    SEAL = "write hash tree, signature and identity"
    INSTALL = "install the UKI"
    REBOOT = "reboot"
    DROP = "drop what was staged"
    GO_BACK = "begin to go back"
    ANSWER = "answer the request to go back"
    CHOOSE = "choose the other version"
    BLESS = "bless the running version"
    TIDY = "remove what failed"
    END_LEAVE = "give the leave to reboot back"


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next and why; `target` is with `BEGIN`, `GO_BACK` and `ANSWER`."""

    deed: Deed
    reason: str
    target: Target | None = None


def next_step(memory: Memory, facts: Facts, wish: Wish, offer: Offer) -> Step:
    """The one next step. A state that is not resting is worked on until it is; then the wish is looked at."""
    if facts.unreadable:
        return Step(Deed.WAIT, facts.unreadable)
    if memory.resting:
        return _in_order(memory, facts) or _wanted(memory, facts, wish, offer)
    if memory.state in PREPARING and offer.unheard:
        return Step(Deed.WAIT, UNHEARD)
    if memory.state in PREPARING and (why := _not_wanted(memory, facts, wish, offer)):
        return Step(Deed.DROP, why)
    return _under_way(memory, facts)


UNHEARD = "it is not known what is wanted"
PREPARING = (State.CLEARING, State.WRITING, State.SEALING, State.INSTALLING, State.STAGED)
"""States in which another wish still changes the course."""


STEPS = {
    State.CLEARING: (Deed.CLEAR, "the other slot gets {version}, so nothing may boot from it"),
    State.WRITING: (Deed.WRITE, "{version} is not in the other slot yet"),
    State.SEALING: (Deed.SEAL, "the data is there; the signed root hash judges it"),
    State.INSTALLING: (Deed.INSTALL, "the other slot is complete"),
    State.STAGED: (Deed.REBOOT, "the next boot tries {version}"),
    State.REBOOTING: (Deed.REBOOT, "leave was given for the boot into {version}"),
    State.DROPPING: (Deed.DROP, "the staged version is no longer wanted"),
    State.TRYING: (Deed.WAIT, "the health gate has not given its verdict"),
    State.RETURNING: (Deed.REBOOT, "leave was given for the boot into the other version"),
}
"""What belongs to a state, where that depends on nothing else."""


def _under_way(memory: Memory, facts: Facts) -> Step:
    version = memory.target.version if memory.target else ""
    if memory.state in (State.TRYING, State.FAILED) and facts.judged and _passed(facts):
        return Step(Deed.BLESS, "this boot of it is healthy")
    if memory.state is State.CLEARING and _is_counted(facts) and facts.judged and _passed(facts):
        return Step(Deed.BLESS, "somebody started it in the place of what ran, and it is healthy")
    if memory.state is State.FAILED:
        return _failed(facts)
    if memory.state is State.ROLLING_BACK:
        return _rolling_back(memory, facts)
    deed, reason = STEPS[memory.state]
    return Step(deed, reason.format(version=version))


def _failed(facts: Facts) -> Step:
    """The gate chose the other version, or could not, and its reboot has not come about; the deed does both again."""
    if not facts.others:
        return Step(Deed.WAIT, f"{facts.version} failed, and there is no other version")
    if all(each.is_given_up for each in facts.others):
        return Step(Deed.WAIT, f"{facts.version} failed, and {facts.others[0].version} was given up before")
    return Step(Deed.REBOOT, f"{facts.version} failed, and {facts.others[0].version} is to run instead")


def _rolling_back(memory: Memory, facts: Facts) -> Step:
    first = facts.entries[0] if facts.entries else None
    if first is not None and first.root_hash == facts.root_hash:
        return Step(Deed.CHOOSE, "the boot loader would start the running version again")
    previous = memory.target.from_version if memory.target else ""
    return Step(Deed.REBOOT, f"the next boot is {previous}")


def _in_order(memory: Memory, facts: Facts) -> Step | None:
    """What a node at rest has to do whatever is wanted. What is counted and not healthy is no place to rest."""
    counted = _is_counted(facts)
    if counted and facts.judged and _passed(facts):
        return Step(Deed.BLESS, "it is healthy, and the boot loader still counts its tries")
    if counted and facts.judged and (better := others_that_work(memory, facts)):
        return Step(Deed.REBOOT, f"{facts.version} is not healthy, and {better[0].version} is to run instead")
    if not counted and facts.running is not None and (failed := _failed_entries(memory, facts)):
        return Step(Deed.TIDY, f"{failed[0].version} failed and must not be started again")
    if memory.leave_held:
        return Step(Deed.END_LEAVE, "no reboot is to come")
    return None


def _wanted(memory: Memory, facts: Facts, wish: Wish, offer: Offer) -> Step:
    if offer.unheard:
        return Step(Deed.WAIT, UNHEARD)
    if wish.rollback and wish.asked != memory.answered:
        return _go_back(memory, facts, wish)
    if wish.pinned:
        return Step(Deed.WAIT, f"pinned to {facts.version}")
    if offer.release is None:
        return Step(Deed.WAIT, offer.problem or "nothing is wanted")
    if why := refusal(memory, facts, wish, offer.release):
        return Step(Deed.WAIT, why)
    return Step(Deed.BEGIN, f"{offer.release.version} is wanted", _target(facts, wish, offer.release))


def _not_wanted(memory: Memory, facts: Facts, wish: Wish, offer: Offer) -> str:
    """Why what is being installed is to be dropped. A mirror that is away is no reason; a word on the version is."""
    if memory.target is None:
        return "it is not known what was being installed"
    if wish.rollback and wish.asked != memory.answered:
        return STAYS
    if wish.pinned:
        return f"the node was pinned to {facts.version}"
    if offer.release is not None and offer.release.verity.root_hash != memory.target.root_hash:
        return f"{offer.release.version} is wanted instead"
    if wish.version and wish.version != memory.target.version:
        return f"{wish.version} is wanted instead"
    return offer.problem if offer.withdrawn else ""


def others_that_work(memory: Memory, facts: Facts) -> tuple[Entry, ...]:
    """What a node could go back to: versions on the ESP that did not fail. One that was left by hand is one."""
    failed = _failed_entries(memory, facts)
    return tuple(each for each in facts.others if each not in failed and each.is_proven)


def _go_back(memory: Memory, facts: Facts, wish: Wish) -> Step:
    """Where there is nothing to go back to, what runs stays, and what is newer is taken as if it had been left."""
    other = next(iter(others_that_work(memory, facts)), None)
    target = Target(
        version=facts.version,
        root_hash=facts.root_hash,
        from_version=other.version if other else facts.version,
        from_hash=other.root_hash if other else facts.root_hash,
        asked=wish.asked,
    )
    if other is None:
        return Step(Deed.ANSWER, NOWHERE, target)
    return Step(Deed.GO_BACK, "the node was told to go back", target)


def _target(facts: Facts, wish: Wish, release: Release) -> Target:
    return Target(
        version=release.version,
        root_hash=release.verity.root_hash,
        from_version=facts.version,
        from_hash=facts.root_hash,
        asked=wish.asked,
    )


def _failed_entries(memory: Memory, facts: Facts) -> Sequence[Entry]:
    """UKIs of versions that failed by themselves; one that was left by hand works, and stays as a fallback."""
    bad = {each.root_hash for each in memory.failures if not each.by_hand}
    return [each for each in facts.others if each.root_hash in bad]


def _is_counted(facts: Facts) -> bool:
    return facts.running is not None and facts.running.left is not None


def _passed(facts: Facts) -> bool:
    return facts.verdict is not None and facts.verdict.passed
