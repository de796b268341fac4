"""Signing anew before signatures expire, and how long each still holds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Role

from bedplate.model.errors import UserError
from bedplate.release.publish.edit import Edit
from bedplate.release.publish.roles import EXPIRES_SOON, ROOT, RULES, SNAPSHOT, TARGETS, TIMESTAMP
from bedplate.release.publish.shown import Shown
from bedplate.release.trust.layout import RELEASES


@dataclass(frozen=True, slots=True)
class Expiry:
    """One role's signature: `days` are those left, below 0 once it has expired. `soon` asks for a new one."""

    role: str
    version: int
    keys: int
    threshold: int
    expires: datetime
    days: float
    soon: bool


def refresh_command(role: str) -> str:
    """What a person types to have a role signed anew."""
    return f"bedplate release refresh {'' if role in (SNAPSHOT, TIMESTAMP) else role}".rstrip()


def expiries(shown: Shown, now: datetime) -> list[Expiry]:
    """Every role, with its keys and what is left of its time."""
    root = shown.root.signed
    rows = [_expiry(ROOT, root.version, root.expires, root.roles[ROOT], now)]
    for name, role in sorted(shown.roles.items()):
        rows.append(_expiry(name, role.version, role.expires, _holder(shown, name), now))
    for name, signed in ((SNAPSHOT, shown.snapshot), (TIMESTAMP, shown.timestamp)):
        rows.append(_expiry(name, signed.version, signed.expires, root.roles[name], now))
    return rows


def refresh(edit: Edit, roles: Collection[str] = ()) -> None:
    """Sign snapshot and timestamp anew, and first those other roles that are named; a version's role is named by it."""
    for name in roles:
        if name == ROOT:
            edit.root("its time is extended")
        elif name in edit.shown.roles:
            edit.role(name, "its time is extended")
        elif name not in (SNAPSHOT, TIMESTAMP):
            known = ", ".join([ROOT, *sorted(edit.shown.roles), SNAPSHOT, TIMESTAMP])
            raise UserError(f"The repository has no role {name}.", details=f"It has {known}.")
    edit.renew("its time is extended")


def _holder(shown: Shown, name: str) -> Role:
    root = shown.root.signed
    if name in root.roles:
        return root.roles[name]
    parent = shown.roles[TARGETS] if name in RULES else shown.roles[RELEASES]
    return parent.get_delegated_role(name)


def _expiry(name: str, version: int, expires: datetime, holder: Role, now: datetime) -> Expiry:
    days = (expires - now).total_seconds() / 86400
    whole = RULES.get(name, RULES[RELEASES]).days
    return Expiry(name, version, len(holder.keyids), holder.threshold, expires, days, days < whole * EXPIRES_SOON)
