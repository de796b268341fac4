"""What came of a word to a node: its status before and after in, why it is not as asked out."""

from __future__ import annotations

from bedplate.wire.desired import LEFT, NOWHERE, STAYS, Status, Wish

GOOD = "Good"
"""The state of a node that stays on what it became."""
ROLLED_BACK = "RolledBack"
FAILED = "Failed"
"""The state of a node that stays on what does not work."""


def why_not(before: Status, after: Status, wish: Wish) -> str:
    """Why a node that rests is not what was asked of it, in its own words; empty when it is.

    A change without a version may have found nothing to do: then the node says that what is wanted runs.
    """
    if after.version != before.version and after.unhealthy:
        return f"{after.version} runs and is not healthy: {'; '.join(after.unhealthy)}"
    return "" if _as_asked(before, after, wish) else _reason(before, after, wish)


def _as_asked(before: Status, after: Status, wish: Wish) -> bool:
    changed = after.version != before.version
    if after.state == FAILED:
        return False
    if wish.version:
        return after.version == wish.version
    if wish.rollback:
        return _went_back(before, after) or (changed and after.state == ROLLED_BACK)
    return after.doing == f"{after.version} runs" or (changed and after.state == GOOD)


def _went_back(before: Status, after: Status) -> bool:
    """Whether an update was dropped for it, or a version left that has not come back since."""
    lines = [line for line in after.history if line not in before.history]
    left = (line.reason.endswith(LEFT) and line.version != after.version for line in lines)
    return any(left) or any(line.reason == STAYS for line in lines)


def _reason(before: Status, after: Status, wish: Wish) -> str:
    """What failed since; of a version that failed long ago nothing is told, since it is not the reason now."""
    new = [failed for failed in after.failures if failed not in before.failures]
    failed = [each.reason for each in new if wish.version in ("", each.version)]
    happened = [line.reason for line in after.history if line not in before.history] if wish.rollback else []
    nowhere = [reason for reason in happened if reason == NOWHERE]
    return next(iter([*nowhere, *failed, *happened]), after.doing or after.state)
