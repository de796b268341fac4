"""What a boot tells of the update before it: whether the new version came up, was judged, or was given up."""

from __future__ import annotations

import msgspec

from bedplate.node.health.verdict import Verdict
from bedplate.node.slots.loader import Entry
from bedplate.node.update.facts import Facts
from bedplate.node.update.memory import Failure, Memory, Target, forget_failure, move, note, remember_failure
from bedplate.node.update.states import Event, State
from bedplate.wire.desired import LEFT

ARMED = (State.INSTALLING, State.STAGED, State.REBOOTING, State.DROPPING, State.TRYING, State.FAILED)
"""States in which the loader may have been offered the new version."""
UNTRIED = (State.INSTALLING, State.STAGED, State.DROPPING)
"""Those of them in which no reboot into it was asked for."""
DROPPED = "nothing of it can boot"


def settle(memory: Memory, facts: Facts, last_lines: tuple[str, ...] = ()) -> Memory:
    """The memory with what the present boot shows. `last_lines` are those of the boot before.

    It is asked at every start of the agent and changes nothing when asked again.
    """
    if memory.target is None or facts.unreadable:
        return memory
    if memory.resting:
        rolled_back = memory.state is State.ROLLED_BACK
        return _left_again(memory, memory.target, facts, last_lines) if rolled_back else memory
    if memory.state in (State.ROLLING_BACK, State.RETURNING):
        return _rolled_back_by_hand(memory, memory.target, facts, last_lines)
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
        return forget_failure(moved(Event.BLESSED, "healthy, and blessed"), facts.root_hash)
    verdict = facts.verdict
    if memory.state is State.TRYING and verdict is not None and facts.judged and not verdict.passed:
        return moved(Event.JUDGED_BAD, "; ".join(verdict.findings))
    return memory


def _old_runs(memory: Memory, target: Target, facts: Facts, last_lines: tuple[str, ...]) -> Memory:
    entry = _entry(facts, target.root_hash)
    if memory.state in UNTRIED and (entry.left and not entry.done if entry else memory.state is State.INSTALLING):
        # The power went before the UKI was armed or the loader told to prefer it, or somebody started what ran before.
        return memory
    if memory.state is State.DROPPING and entry is None:
        return move(memory, Event.CLEARED, at=facts.now, boot=facts.boot, reason=DROPPED)
    reason = _reason(memory, facts, target.version, entry)
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


def _entry(facts: Facts, root_hash: str) -> Entry | None:
    return next((each for each in facts.entries if each.root_hash == root_hash), None)


def _reason(memory: Memory, facts: Facts, version: str, entry: Entry | None) -> str:
    if (failed := _judged_bad(memory, facts, version)) is not None:
        return "not healthy: " + "; ".join(failed.findings)
    if entry is None:
        return "its UKI is gone from the ESP"
    if entry.is_proven:
        return "it was judged not to work; the reason could not be kept"
    if entry.left:
        return f"the boot loader started another version, with {entry.left} tries left"
    tries = f"{entry.done} {'boot' if entry.done == 1 else 'boots'}"
    if memory.state in (State.TRYING, State.ROLLED_BACK):
        return f"it came up, and then hung, panicked or lost power before it was judged, in {tries}"
    return f"it did not come up in {tries}"


def _judged_bad(memory: Memory, facts: Facts, version: str) -> Verdict | None:
    failed = facts.failed
    return failed if failed is not None and failed.version == version and _of_this_try(memory, failed) else None


def _of_this_try(memory: Memory, verdict: Verdict) -> bool:
    """Where the agent saw the verdict while that version ran, its state is of the same boot, and younger."""
    return verdict.boot == memory.boot or (memory.since is not None and verdict.at >= memory.since)


def _rolled_back_by_hand(memory: Memory, target: Target, facts: Facts, last_lines: tuple[str, ...]) -> Memory:
    if facts.root_hash == target.from_hash:
        failure = Failure(
            version=target.version,
            root_hash=target.root_hash,
            reason=LEFT,
            at=facts.now,
            asked=target.asked,
            by_hand=True,
        )
        memory = forget_failure(remember_failure(memory, failure), target.from_hash)
        return move(memory, Event.OLD_RUNS, at=facts.now, boot=facts.boot, reason=f"{target.version} was {LEFT}")
    if facts.boot == memory.boot:
        return memory
    entry = _entry(facts, target.from_hash)
    if entry is not None and not _tried(memory, facts, target, entry):
        if memory.state is State.ROLLING_BACK:
            return memory  # the power went before the loader was told, or before leave was given
        reason = f"{target.from_version} was not started: somebody chose another one at the boot loader"
        return move(memory, Event.NEW_RUNS, at=facts.now, boot=facts.boot, reason=reason)
    reason = _reason(memory, facts, target.from_version, entry)
    memory = remember_failure(memory, _failure_of_previous(target, facts, reason, last_lines))
    reason = f"{target.from_version} does not work: {reason}"
    return move(memory, Event.NEW_RUNS, at=facts.now, boot=facts.boot, reason=reason)


def _tried(memory: Memory, facts: Facts, target: Target, entry: Entry) -> bool:
    """Whether what was to be gone back to was given up. It gets new tries, or has no counter and is never given up.

    One whose counter was set back without a boot counted was judged, or not chosen yet while the state says so.
    """
    if _judged_bad(memory, facts, target.from_version) is not None:
        return True
    return entry.done > 0 or (entry.left == 0 and memory.state is State.RETURNING)


def _left_again(memory: Memory, target: Target, facts: Facts, last_lines: tuple[str, ...]) -> Memory:
    """What was gone back to may fail after its agent came up, and has taken note of a boot into a version that works.

    The loader has then gone on with what was left by hand. One without a counter was not given up, but somebody
    started another.
    """
    left, entry = memory.failure_of(target.root_hash), _entry(facts, target.from_hash)
    if facts.root_hash != target.root_hash or facts.boot == memory.boot or left is None or not left.by_hand:
        return memory
    if entry is None or entry.left != 0 or not _tried(memory, facts, target, entry):
        return memory
    reason = _reason(memory, facts, target.from_version, entry)
    memory = remember_failure(memory, _failure_of_previous(target, facts, reason, last_lines))
    reason = f"{target.from_version} does not work: {reason}"
    return note(forget_failure(memory, target.root_hash), at=facts.now, version=target.from_version, reason=reason)


def _failure_of_previous(target: Target, facts: Facts, reason: str, last_lines: tuple[str, ...]) -> Failure:
    return Failure(
        version=target.from_version,
        root_hash=target.from_hash,
        reason=reason,
        at=facts.now,
        asked=target.asked,
        last_lines=last_lines,
    )


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
