"""The bootstrap token of a cluster: kept for as long as it is good, made anew before it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from bedplate.host.clock import Clock
from bedplate.host.files import write_atomically
from bedplate.local.join import JOINERS, BootstrapToken, new_token, token_manifest

GOOD_FOR = timedelta(hours=24)
LEAST = timedelta(hours=1)


class TokenRecord(msgspec.Struct, frozen=True):
    """A token and when it ends."""

    id: str
    secret: str
    expires: datetime


def have_token(
    file: Path, clock: Clock, *, apply: Callable[[bytes], object], groups: Sequence[str] = (JOINERS,)
) -> BootstrapToken:
    """The token in `file` while at least an hour of it is left, else a new one, which `apply` makes known."""
    now = clock.now()
    known = read_token(file)
    if known is not None and known.expires - now >= LEAST:
        return BootstrapToken(known.id, known.secret)
    token, expires = new_token(), now + GOOD_FOR
    apply(token_manifest(token, expires=expires, groups=groups))
    write_atomically(file, msgspec.json.encode(TokenRecord(token.id, token.secret, expires)), mode=0o600)
    return token


def read_token(file: Path) -> TokenRecord | None:
    """What is kept; `None` where there is none yet, or none that can be read: a new one costs nothing."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=TokenRecord)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
