"""Exchanging keys: who may sign as a role, from the next version of whoever delegates to it on."""

from __future__ import annotations

from collections.abc import Sequence

from securesystemslib.signer import Key
from tuf.api.metadata import DelegatedRole, Delegations, Role, Root, Targets

from bedplate.model.errors import UserError
from bedplate.release.publish.edit import Edit
from bedplate.release.publish.roles import OF_THE_ROOT, RULES, SNAPSHOT, TARGETS, TIMESTAMP
from bedplate.release.publish.shown import Shown
from bedplate.release.trust.layout import RELEASES


def rotate(edit: Edit, role: str, *, add: Sequence[Key], remove: Sequence[str], threshold: int | None = None) -> None:
    """Give a role other keys. Raises `UserError` for one that is not there, or when too few would be left.

    Whatever the role signs is signed anew. Nodes follow by themselves, also those that were off meanwhile.
    """
    holder_of(edit.shown, role)
    if role in OF_THE_ROOT:
        _in_the_root(edit, role, add, remove, threshold)
    else:
        _below_the_targets(edit, role, add, remove, threshold)


def holder_of(shown: Shown, role: str) -> Role:
    """The keys of a role now, and how many of them have to sign."""
    if role not in RULES:
        raise UserError(f"There is no role {role!r}.", resolution=f"Choose one of {', '.join(RULES)}.")
    delegator = shown.root.signed if role in OF_THE_ROOT else shown.roles[TARGETS]
    return delegator.get_delegated_role(role)


def key_of(holder: Role, role: str, beginning: str) -> str:
    """The id of the one key of the role that begins so. Raises `UserError` when none does, or several do."""
    found = [each for each in holder.keyids if each.startswith(beginning)]
    if len(found) != 1:
        raise UserError(
            f"{beginning!r} is not the beginning of one key of {role}.",
            details="\n".join(holder.keyids),
            resolution="`bedplate release show` lists the keys.",
        )
    return found[0]


def roles_of(shown: Shown, keyid: str) -> list[str]:
    """The roles that the key signs for now."""
    return [role for role in RULES if keyid in holder_of(shown, role).keyids]


def _in_the_root(edit: Edit, role: str, add: Sequence[Key], remove: Sequence[str], threshold: int | None) -> None:
    root = edit.root(f"the keys of {role} change")
    _exchange(root, role, add, remove)
    root.roles[role].threshold = _enough(role, len(root.roles[role].keyids), threshold or root.roles[role].threshold)
    if role == TARGETS:
        edit.role(TARGETS, "signed by the new keys too")
    if role in (TARGETS, SNAPSHOT, TIMESTAMP):
        edit.renew("signed by the old keys and the new ones")


def _below_the_targets(edit: Edit, role: str, add: Sequence[Key], remove: Sequence[str], threshold: int | None) -> None:
    targets = edit.role(TARGETS, f"the keys of {role} change")
    _exchange(targets, role, add, remove)
    holder = targets.get_delegated_role(role)
    holder.threshold = _enough(role, len(holder.keyids), threshold or holder.threshold)
    signed = edit.role(role, "signed by the new keys")
    if role == RELEASES:
        for version in edit.shown.versions:
            edit.role(version, "signed by the new keys")
        _hand_on(signed, targets, holder.threshold)


def _hand_on(releases: Targets, targets: Targets, threshold: int) -> None:
    """The keys of `releases` are those of every version's role."""
    holder = targets.get_delegated_role(RELEASES)
    keys = {keyid: targets.get_key(keyid) for keyid in holder.keyids}
    before = releases.delegations.roles if releases.delegations and releases.delegations.roles else {}
    roles = {
        name: DelegatedRole(name, list(keys), threshold, terminating=True, paths=role.paths)
        for name, role in before.items()
    }
    releases.delegations = Delegations(keys if roles else {}, roles)


def _exchange(delegator: Root | Targets, role: str, add: Sequence[Key], remove: Sequence[str]) -> None:
    for beginning in remove:
        delegator.revoke_key(key_of(delegator.get_delegated_role(role), role, beginning), role)
    for key in add:
        delegator.add_key(key, role)


def _enough(role: str, keys: int, threshold: int) -> int:
    if not 1 <= threshold <= keys:
        raise UserError(
            f"{role} would have {keys} keys, of which {threshold} have to sign.",
            resolution="Add keys, remove fewer, or change --threshold.",
        )
    return threshold
