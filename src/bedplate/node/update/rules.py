"""What a boot tells of the update before it: whether the new version came up, was judged, or was given up."""

from __future__ import annotations

import msgspec

from bedplate.node.health.verdict import Verdict
from bedplate.node.slots.loader import Entry
from bedplate.node.update.memory import Failure, Memory, Target, move, note, remember_failure
from bedplate.node.update.plan import Facts
from bedplate.node.update.states import Event, State

ARMED = (State.INSTALLING, State.STAGED, State.REBOOTING, State.DROPPING, State.TRYING, State.FAILED)
"""States in which the loader may have been offered the new version."""


def settle(memory: Memory, facts: Facts, last_lines: tuple[str, ...] = ()) -> Memory:
    """The memory with what the present boot shows. `last_lines` are those of the boot before.

    It is asked at every start of the agent and changes nothing when asked again.
    """
    if memory.target is None or memory.resting or facts.unreadable:
        return memory
    if memory.state in (State.ROLLING_BACK, State.RETURNING):
        return _rolled_back_by_hand(memory, memory.target, facts)
    if facts.root_hash == memory.target.root_hash:
        return _new_runs(memory, memory.target, facts)
    if memory.state in ARMED and facts.boot != memory.boot:
        return _old_runs(memory, memory.target, facts, last_lines)
    return memory


def _new_runs(memory: Memory, target: Target, facts: Facts) -> Memory:
    def moved(event: Event, reason: str) -> Memory:
        return move(memory, event, at=facts.now, boot=facts.boot, reason=reason)

    if memory.state not in (State.TRYING, State.FAILED):
        return settle(moved(Event.NEW_RUNS, f"booted from {target.from_version}"), facts)
    if facts.running is not None and facts.running.left is None:
        return moved(Event.BLESSED, "healthy, and blessed")
    verdict = facts.verdict
    if memory.state is State.TRYING and verdict is not None and facts.judged and not verdict.passed:
        return moved(Event.JUDGED_BAD, "; ".join(verdict.findings))
    return memory


def _old_runs(memory: Memory, target: Target, facts: Facts, last_lines: tuple[str, ...]) -> Memory:
    entry = next((each for each in facts.entries if each.root_hash == target.root_hash), None)
    if memory.state is State.INSTALLING and entry is None:
        # The power went before the UKI was armed: nothing has been tried.
        return memory
    reason = _reason(memory, target, facts, entry)
    failure = Failure(
        version=target.version,
        root_hash=target.root_hash,
        reason=reason,
        at=facts.now,
        asked=target.asked,
        last_lines=last_lines,
    )
    memory = remember_failure(memory, failure)
    return move(memory, Event.OLD_RUNS, at=facts.now, boot=facts.boot, reason=reason)


def _reason(memory: Memory, target: Target, facts: Facts, entry: Entry | None) -> str:
    failed = facts.failed
    if failed is not None and failed.version == target.version and _of_this_try(memory, failed):
        return "not healthy: " + "; ".join(failed.findings)
    if entry is None:
        return "its UKI is gone from the ESP"
    if entry.is_proven:
        return "it was judged not to work; the reason could not be kept"
    if entry.left:
        return f"the boot loader started another version, with {entry.left} tries left"
    tries = f"{entry.done} {'boot' if entry.done == 1 else 'boots'}"
    if memory.state is State.TRYING:
        return f"it came up, and then hung, panicked or lost power before it was judged, in {tries}"
    return f"it did not come up in {tries}"


def _of_this_try(memory: Memory, verdict: Verdict) -> bool:
    """Where the agent saw the verdict while that version ran, its state is of the same boot, and younger."""
    return verdict.boot == memory.boot or (memory.since is not None and verdict.at >= memory.since)


def _rolled_back_by_hand(memory: Memory, target: Target, facts: Facts) -> Memory:
    if facts.root_hash == target.from_hash:
        reason = "left by hand"
        failure = Failure(
            version=target.version,
            root_hash=target.root_hash,
            reason=reason,
            at=facts.now,
            asked=target.asked,
            by_hand=True,
        )
        memory = remember_failure(memory, failure)
        return move(memory, Event.OLD_RUNS, at=facts.now, boot=facts.boot, reason=f"{target.version} was {reason}")
    if facts.boot != memory.boot:
        reason = f"{target.from_version} did not boot"
        return move(memory, Event.NEW_RUNS, at=facts.now, boot=facts.boot, reason=reason)
    return memory


def recover(memory: Memory, facts: Facts, problem: str, *, asked: str = "") -> Memory:
    """A memory in the place of one that could not be read: `problem` is told, the facts tell the rest.

    A version that the loader gave up is a failure without its reason; anything half-written is cleared by the next
    update, which begins with that. Leave to reboot may be held. `asked` is the request that is there already: it was
    answered as far as anybody knows, and is none to go back once more, or to try again what failed.
    """
    memory = note(memory, at=facts.now, version=facts.version, reason=f"{problem}; the facts of the disk stand in")
    memory = msgspec.structs.replace(memory, leave_held=True, answered=asked)
    for entry in facts.others:
        if entry.left == 0:
            lost = "the boot loader gave it up; the reason was lost"
            failure = Failure(version=entry.version, root_hash=entry.root_hash, reason=lost, at=facts.now, asked=asked)
            memory = remember_failure(memory, failure)
    if facts.running is not None and facts.running.left is not None:
        # It is on trial: an empty memory would take it for settled.
        other = facts.others[0] if facts.others else facts.running
        target = Target(
            version=facts.version,
            root_hash=facts.root_hash,
            from_version=other.version,
            from_hash=other.root_hash,
            asked=asked,
        )
        return msgspec.structs.replace(memory, state=State.TRYING, since=facts.now, boot=facts.boot, target=target)
    return memory
