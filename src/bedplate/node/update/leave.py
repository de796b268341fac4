"""Leave to reboot: at any time, in windows, by a FleetLock server. All that is given has to agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol

import msgspec

from bedplate.host.clock import Clock
from bedplate.host.post import Post
from bedplate.model.network import Answer, Reach
from bedplate.node.settings import Leave, zone_of
from bedplate.rollout.windows import Window, is_open, next_opening

FLEET_LOCK = {"fleet-lock-protocol": "true", "Content-Type": "application/json"}


class LeaveToReboot(Protocol):
    """Somebody who is asked before a reboot, and told after it."""

    def ask(self) -> str:
        """Why not now; empty when the reboot may be. Asking again is harmless."""
        ...

    def give_back(self) -> str:
        """The reboot is over. Why that could not be told; empty when it was. Telling again is harmless."""
        ...


@dataclass(frozen=True, slots=True)
class Windows:
    """Leave in maintenance windows of a named time zone, by a clock that is right."""

    windows: tuple[Window, ...]
    zone: tzinfo
    clock: Clock

    def ask(self) -> str:
        now = self.clock.now()
        if is_open(self.windows, now, self.zone):
            return ""
        opening = next_opening(self.windows, now, self.zone)
        when = opening.astimezone(self.zone).strftime("%a %Y-%m-%d %H:%M %Z") if opening else "never"
        return f"the next maintenance window opens {when}"

    def give_back(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class FleetLock:
    """Leave by a FleetLock server (coreos.github.io/zincati, "FleetLock protocol"); `identity` is this machine's."""

    url: str
    group: str
    identity: str
    post: Post

    def ask(self) -> str:
        return self._post("/v1/pre-reboot")

    def give_back(self) -> str:
        return self._post("/v1/steady-state")

    def _post(self, path: str) -> str:
        body = msgspec.json.encode({"client_params": {"group": self.group, "id": self.identity}})
        answer = self.post.send(self.url.rstrip("/") + path, body, headers=FLEET_LOCK)
        return "" if 200 <= answer.status < 300 else f"the FleetLock server {_words(answer)}"


class _Refusal(msgspec.Struct, frozen=True):
    """What the server sends with a refusal: `kind` is for programs, `value` for people."""

    kind: str = ""
    value: str = ""


def _words(answer: Answer) -> str:
    if answer.reach is not Reach.ANSWERED:
        return f"cannot be asked: {answer.reach.value}{f' ({answer.details})' if answer.details else ''}"
    try:
        said = msgspec.json.decode(answer.body, type=_Refusal)
    except msgspec.MsgspecError:
        return f"answers {answer.status}"
    return f"answers {answer.status}: {said.value or said.kind}"


def ask_all(asked: Sequence[LeaveToReboot]) -> str:
    """The first reason against it, in their order, so that a lock is only taken when nothing else is in the way."""
    return next(filter(None, (each.ask() for each in asked)), "")


def leave_of(leave: Leave, *, identity: str, post: Post, clock: Clock) -> tuple[LeaveToReboot, ...]:
    """Whom the settings name; nobody means always."""
    asked: list[LeaveToReboot] = []
    if leave.windows:
        asked.append(Windows(leave.windows, zone_of(leave.zone), clock))
    if leave.fleet_lock:
        asked.append(FleetLock(leave.fleet_lock, leave.group, identity, post))
    return tuple(asked)
