"""What a node is told to become, and what it tells of itself: the Node object's annotations, and the same as files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

PREFIX = "bedplate.dev/desired-"
STATUS = "bedplate.dev/update-status"
VERSION, CHANNEL, ROLLBACK, PINNED, ASKED = (
    f"{PREFIX}{name}" for name in ("version", "channel", "rollback", "pinned", "asked")
)

NOWHERE = "there is no other version to go back to"
STAYS = "the node was told to stay on what runs"
LEFT = "left by hand"
"""Words of the history that answer `rollback`: nothing came of it, an update was dropped, the version was left."""


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants of a node. All fields may be left out; then nothing is wanted but the settings' channel.

    `version` is that of an image; `channel` a channel's name, whose version is wanted where `version` is empty.
    `rollback` asks for the version in the other slot, once. `pinned` is to stay as it is. `asked` names the request:
    a version that failed, or was rolled back from, is tried again for another request than that of the failure, if it
    is not one to go back.
    """

    version: str = ""
    channel: str = ""
    rollback: bool = False
    pinned: bool = False
    asked: str = ""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the history, the newest first in lists."""

    at: datetime
    state: str
    version: str
    reason: str


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """A version that the node does not try again unless told; `last_lines` are what its boot wrote last."""

    version: str
    root_hash: str
    at: datetime
    reason: str
    last_lines: tuple[str, ...] = ()


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What a node tells of its updates. `doing` is its next step or what it waits for, in words, having looked at the
    wish of the request `asked`; `busy` is that it is not done with that.

    `other` is the version in the other slot that the boot loader could start, or empty. `clock` says so when the
    time is not known to be right and the latest time ever seen stands in. `unknown_settings` are keys of the agent's
    settings that the running version passes over, `unhealthy` is what the health gate found wrong with this boot.
    """

    version: str
    state: str
    since: datetime | None
    target: str = ""
    doing: str = ""
    busy: bool = False
    other: str = ""
    pinned: bool = False
    asked: str = ""
    clock: str = ""
    unknown_settings: tuple[str, ...] = ()
    unhealthy: tuple[str, ...] = ()
    failures: tuple[Failed, ...] = ()
    history: tuple[Line, ...] = ()


def wish_of(annotations: Mapping[str, str]) -> Wish | None:
    """The wish that a Node object carries; None when it carries none."""
    if not any(name.startswith(PREFIX) for name in annotations):
        return None
    return Wish(
        version=annotations.get(VERSION, ""),
        channel=annotations.get(CHANNEL, ""),
        rollback=annotations.get(ROLLBACK, "") == "true",
        pinned=annotations.get(PINNED, "") == "true",
        asked=annotations.get(ASKED, ""),
    )


def annotations_of(wish: Wish) -> dict[str, str | None]:
    """The annotations of a wish; None stands for one that is to be removed."""
    return {
        VERSION: wish.version or None,
        CHANNEL: wish.channel or None,
        ROLLBACK: "true" if wish.rollback else None,
        PINNED: "true" if wish.pinned else None,
        ASKED: wish.asked or None,
    }
