"""What the agent knows over reboots: what it is doing, what failed and why, what happened. Values only."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

import msgspec

from bedplate.node.update.states import RESTING, Event, State, after

MOST_HISTORY, MOST_FAILURES = 100, 50
REASON_LENGTH, LINE_LENGTH = 600, 200
"""Characters. Peers say how long theirs are: an answer of a server or a kubelet becomes a reason."""


class _Value(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the file. An agent that a newer one went back from passes over what it does not know."""


class Target(_Value, frozen=True):
    """What the node is becoming: `root_hash` is its identity, `asked` the request that it comes from, or empty.

    `from_version` and `from_hash` are what ran when it began.
    """

    version: str
    root_hash: str
    from_version: str
    from_hash: str
    asked: str = ""


class Failure(_Value, frozen=True):
    """A version that is not tried again unless told: told means by a request other than `asked`.

    `last_lines` are what its boot wrote last, where that was kept. `by_hand` is that it works, and somebody left it.
    """

    version: str
    root_hash: str
    reason: str
    at: datetime
    asked: str = ""
    by_hand: bool = False
    last_lines: tuple[str, ...] = ()


class Happening(_Value, frozen=True):
    """One line of the history."""

    at: datetime
    state: State
    version: str
    reason: str


class Memory(_Value, frozen=True):
    """All of it. `since` is when the state was entered, `boot` the boot in which it was.

    `answered` is the last request to go back or to change that was begun; `leave_held` is that leave to reboot was
    asked for, and has to be given back.
    """

    state: State = State.IDLE
    since: datetime | None = None
    target: Target | None = None
    boot: str = ""
    leave_held: bool = False
    answered: str = ""
    failures: tuple[Failure, ...] = ()
    history: tuple[Happening, ...] = ()
    format: int = 1

    def failure_of(self, root_hash: str) -> Failure | None:
        return next((each for each in self.failures if each.root_hash == root_hash), None)

    @property
    def resting(self) -> bool:
        return self.state in RESTING


def cut(text: str, length: int = REASON_LENGTH) -> str:
    """The text as it may be kept and shown on a terminal: its beginning, without what cannot be printed."""
    return printable(text if len(text) <= length else f"{text[: length - 1]}…")


def printable(text: str) -> str:
    """A sick kernel or a stranger wrote it."""
    return "".join(each if each.isprintable() else "?" for each in text)


def move(memory: Memory, event: Event, *, at: datetime, boot: str, reason: str, target: Target | None = None) -> Memory:
    """The memory after an event, with a line of history. `target` is what to become from here on."""
    state = after(memory.state, event)
    chosen = target or memory.target
    line = Happening(at=at, state=state, version=chosen.version if chosen else "", reason=cut(reason))
    return msgspec.structs.replace(
        memory,
        state=state,
        since=at,
        boot=boot,
        target=chosen,
        history=tuple(islice((line, *memory.history), MOST_HISTORY)),
    )


def remember_failure(memory: Memory, failure: Failure) -> Memory:
    """With the failure in the place of an earlier one of the same root hash, the newest first."""
    others = (each for each in memory.failures if each.root_hash != failure.root_hash)
    lines = tuple(cut(line, LINE_LENGTH) for line in failure.last_lines)
    failure = msgspec.structs.replace(failure, reason=cut(failure.reason), last_lines=lines)
    return msgspec.structs.replace(memory, failures=tuple(islice((failure, *others), MOST_FAILURES)))


def forget_failure(memory: Memory, root_hash: str) -> Memory:
    kept = tuple(each for each in memory.failures if each.root_hash != root_hash)
    return msgspec.structs.replace(memory, failures=kept)


def note(memory: Memory, *, at: datetime, version: str, reason: str) -> Memory:
    """A line of history without a change of state."""
    line = Happening(at=at, state=memory.state, version=version, reason=cut(reason))
    return msgspec.structs.replace(memory, history=tuple(islice((line, *memory.history), MOST_HISTORY)))
