"""The certificates of one local cluster as files in one folder: made where it is time, and read."""

from __future__ import annotations

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
    now = clock.now()
    pki = Pki(folder)
    authorities = {name: _ensure(pki, name, subject, None, now) for name, subject in AUTHORITIES.items()}
    actions = [action for _, action in authorities.values()]
    for name, (authority, subject) in LEAVES.items():
        actions.append(_ensure(pki, name, subject, authorities[authority][0], now)[1])
    return replace(pki, actions=(*actions, _ensure_service_accounts(pki)))


def _ensure(pki: Pki, name: str, subject: Subject, issuer: Pair | None, now: datetime) -> tuple[Pair, Action]:
    there, reason = _judged(pki, name, subject, issuer, now)
    if there is not None and not reason:
        return there, Action(f"certificate {name}", Verb.SKIP, "still good")
    made = issue(subject, issuer, now=now)
    # The key first: a cut between the two leaves a pair that does not match, which is found and replaced.
    write_atomically(pki.key(name), made.key_pem, mode=0o600)
    write_atomically(pki.certificate(name), made.certificate_pem)
    return made, Action(f"certificate {name}", Verb.RUN, reason)


def _judged(pki: Pki, name: str, subject: Subject, issuer: Pair | None, now: datetime) -> tuple[Pair | None, str]:
    try:
        pair = parse_pair(pki.certificate(name).read_bytes(), pki.key(name).read_bytes())
    except FileNotFoundError:
        return None, "not there yet"
    except (ValueError, TypeError):
        return None, "unreadable"
    return pair, why_replace(pair, subject, issuer, now=now)


def _ensure_service_accounts(pki: Pki) -> Action:
    """The key that signs service account tokens: it has no certificate and no end."""
    private, public = pki.key(SERVICE_ACCOUNTS), pki.service_account_public
    try:
        key = serialization.load_pem_private_key(private.read_bytes(), password=None)
        intact = isinstance(key, ec.EllipticCurvePrivateKey) and public.read_bytes() == public_pem(key)
    except (FileNotFoundError, ValueError, TypeError):
        intact = False
    if intact:
        return Action("service account key", Verb.SKIP, "still good")
    made = new_key()
    write_atomically(private, private_pem(made), mode=0o600)
    write_atomically(public, public_pem(made))
    return Action("service account key", Verb.RUN, "missing or broken")
