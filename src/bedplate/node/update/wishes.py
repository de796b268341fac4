"""Where a node learns what it is to become: its Node object, a file, the settings' channel. The first that tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from bedplate.host.files import write_atomically
from bedplate.node.apiserver import OwnNode, object_in
from bedplate.wire.desired import Wish, wish_of

FILE = "var/lib/bedplate/desired.json"
CREDENTIAL = "bedplate.desired"
LAST = "wish.json"
MOST_BYTES = 1 << 16


class WishSource(Protocol):
    """One place to look."""

    def look(self) -> Wish | None:
        """What is wanted there, or None. Raises `ValueError` for what cannot be read: then nothing is guessed."""
        ...


@dataclass(frozen=True, slots=True)
class FileWish:
    """A file in JSON, such as the machine's own or a system credential."""

    path: Path

    def look(self) -> Wish | None:
        try:
            with self.path.open("rb") as opened:
                return msgspec.json.decode(opened.read(MOST_BYTES), type=Wish)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as problem:
            raise ValueError(f"{self.path}: {problem}") from problem


@dataclass(frozen=True, slots=True)
class NodeWish:
    """The annotations of the node's object. While the API server is away, what it said last still holds.

    So a node that was pinned stays pinned; that last word is kept in `folder`.
    """

    node: OwnNode
    folder: Path

    def look(self) -> Wish | None:
        last = FileWish(self.folder / LAST)
        if not self.node.belongs():
            return None
        found = object_in(self.node.ask())
        if found is None:
            return last.look()
        wish = wish_of(found.metadata.annotations)
        if wish is None:
            last.path.unlink(missing_ok=True)
        elif wish != _known(last):
            write_atomically(last.path, msgspec.json.encode(wish))
        return wish


def _known(last: FileWish) -> Wish | None:
    try:
        return last.look()
    except ValueError:
        return None


def first_wish(sources: Sequence[WishSource]) -> Wish:
    """The wish of the first source that has one; nothing but the settings' channel where none has.

    A bare request, which names neither version nor channel nor anything else, is one for what the next source wants.
    """
    asked = ""
    for source in sources:
        wish = source.look() or Wish()
        asked = asked or wish.asked
        if wish != Wish(asked=wish.asked):
            return msgspec.structs.replace(wish, asked=asked)
    return Wish(asked=asked)
