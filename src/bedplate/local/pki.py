"""The certificates of one local cluster as files in one folder: made where it is time, and read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bedplate.host.clock import Clock
from bedplate.host.files import write_atomically
from bedplate.local.authorities import AUTHORITIES, LEAVES, SERVICE_ACCOUNTS, Pki
from bedplate.local.certificates import (
    Pair,
    Subject,
    issue,
    new_key,
    parse_pair,
    private_pem,
    public_pem,
    why_replace,
)
from bedplate.model.errors import OurError
from bedplate.model.plans import Action, Verb


def read_pki(folder: Path) -> Pki:
    """The certificates that `ensure_pki` made. Raises `OurError` when a file is missing; writes nothing."""
    pki = Pki(folder)
    names = (*AUTHORITIES, *LEAVES)
    files = (*map(pki.certificate, names), *map(pki.key, names), pki.key(SERVICE_ACCOUNTS), pki.service_account_public)
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise OurError(
            f"Certificates of the cluster are missing in {folder}.",
            details=", ".join(missing),
            resolution="Run `bedplate cluster up`: it makes them anew.",
        )
    return pki


def ensure_pki(folder: Path, clock: Clock) -> Pki:
    """Every certificate of the cluster under `folder`: made where it is missing, broken or close to its end.

    Private keys get mode 0600. An authority that had to be made anew takes all that it signed with it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    pki = Pki(folder)
    actions = []
    for name, pair, action in _decided(pki, clock.now()):
        if action.runs:
            # The key first: a cut between the two leaves a pair that does not match, which is found and replaced.
            write_atomically(pki.key(name), pair.key_pem, mode=0o600)
            write_atomically(pki.certificate(name), pair.certificate_pem)
        actions.append(action)
    service_accounts = _service_accounts(pki)
    if service_accounts.runs:
        key = new_key()
        write_atomically(pki.key(SERVICE_ACCOUNTS), private_pem(key), mode=0o600)
        write_atomically(pki.service_account_public, public_pem(key))
    return replace(pki, actions=(*actions, service_accounts))


def plan_pki(folder: Path, clock: Clock) -> tuple[Action, ...]:
    """What `ensure_pki` would do now, and why; writes nothing."""
    pki = Pki(folder)
    return (*(action for _, _, action in _decided(pki, clock.now())), _service_accounts(pki))


def _decided(pki: Pki, now: datetime) -> Iterator[tuple[str, Pair, Action]]:
    """Each certificate by its name: the one that is there, or a new one that is only in memory yet, and why."""
    authorities: dict[str, Pair] = {}
    for name, subject in AUTHORITIES.items():
        authorities[name], action = _kept_or_new(pki, name, subject, None, now)
        yield name, authorities[name], action
    for name, (authority, subject) in LEAVES.items():
        yield name, *_kept_or_new(pki, name, subject, authorities[authority], now)


def _kept_or_new(pki: Pki, name: str, subject: Subject, issuer: Pair | None, now: datetime) -> tuple[Pair, Action]:
    there, reason = _judged(pki, name, subject, issuer, now)
    if there is not None and not reason:
        return there, Action(f"certificate {name}", Verb.SKIP, "still good")
    return issue(subject, issuer, now=now), Action(f"certificate {name}", Verb.RUN, reason)


def _judged(pki: Pki, name: str, subject: Subject, issuer: Pair | None, now: datetime) -> tuple[Pair | None, str]:
    try:
        pair = parse_pair(pki.certificate(name).read_bytes(), pki.key(name).read_bytes())
    except FileNotFoundError:
        return None, "not there yet"
    except (ValueError, TypeError):
        return None, "unreadable"
    return pair, why_replace(pair, subject, issuer, now=now)


def _service_accounts(pki: Pki) -> Action:
    """The key that signs service account tokens: it has no certificate and no end."""
    private, public = pki.key(SERVICE_ACCOUNTS), pki.service_account_public
    try:
        key = serialization.load_pem_private_key(private.read_bytes(), password=None)
        intact = isinstance(key, ec.EllipticCurvePrivateKey) and public.read_bytes() == public_pem(key)
    except (FileNotFoundError, ValueError, TypeError):
        intact = False
    if intact:
        return Action("service account key", Verb.SKIP, "still good")
    return Action("service account key", Verb.RUN, "missing or broken")
