"""What signs what boots: a development pair made at first use, or the user's own, in files or on a token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bedplate.host.files import folder_in_one_step, write_atomically
from bedplate.image.signer import CERTIFICATE, KEY, Signer
from bedplate.image.token import URI, token_pair
from bedplate.image.tools import Tools
from bedplate.model.errors import MachineError, UserError

SUBJECT = "/CN=Bedplate development Secure Boot/"
DAYS = "7300"
BRING = "Put the private key db.key, or db.uri with its name on a token, and its certificate db.crt there."


@dataclass(frozen=True, slots=True)
class SigningPair:
    """Implements `Signer` with files: a private key and its X.509 certificate, both PEM."""

    folder: Path

    @property
    def key(self) -> Path:
        return self.folder / KEY

    @property
    def certificate(self) -> Path:
        return self.folder / CERTIFICATE

    @contextmanager
    def key_lent_to(self, folder: Path) -> Iterator[Mapping[str, str]]:
        """The private key itself, where signing programs look."""
        lent = folder / KEY
        try:
            write_atomically(lent, self.key.read_bytes(), mode=0o600)
            yield {}
        finally:
            lent.unlink(missing_ok=True)


def development_pair(folder: Path, tools: Tools) -> SigningPair:
    """The pair in `folder`, made when it is not there: 2048-bit RSA, which every firmware knows."""
    if not folder.exists():
        with folder_in_one_step(folder) as scratch:
            scratch.chmod(0o700)
            tools.run(
                scratch,
                [
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "rsa:2048",
                    "-sha256",
                    "-nodes",
                    "-subj",
                    SUBJECT,
                    "-days",
                    DAYS,
                ]
                + ["-keyout", "/mnt/db.key", "-out", "/mnt/db.crt"],
            )
            _require_made(scratch)
    return own_pair(folder)


def _require_made(folder: Path) -> None:
    """OpenSSL does not always notice that the disk is full."""
    try:
        own_pair(folder)
    except UserError as problem:
        raise MachineError(
            "openssl made no pair of keys that can be read.",
            details=problem.details,
            resolution=f"Look whether the disk of {folder.parent} is full, then try again: nothing was kept.",
        ) from problem


def own_signer(folder: Path, environment: Mapping[str, str]) -> Signer:
    """What the user brings: db.crt with db.key, or with db.uri where the key is on a token.

    `environment` is the user's; it may have the token's PIN.
    """
    if not (folder / URI).is_file():
        return own_pair(folder)
    if (folder / KEY).exists():
        raise UserError(f"{folder} has both {KEY} and {URI}.", resolution="Leave the one that is to sign.")
    return token_pair(folder, environment)


def own_pair(folder: Path) -> SigningPair:
    """A pair that the user brings as db.key and db.crt."""
    pair = SigningPair(folder)
    missing = [file.name for file in (pair.key, pair.certificate) if not file.is_file()]
    if missing:
        raise UserError(f"{folder} lacks {' and '.join(missing)}.", resolution=BRING)
    _require_pair(pair)
    return pair


def _require_pair(pair: SigningPair) -> None:
    """What is signed by a key that the certificate does not belong to boots nowhere, and only there it would show."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        key = load_pem_private_key(pair.key.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as problem:
        raise UserError(
            f"{pair.folder} does not hold a key and a certificate that can be read.",
            details=str(problem),
            resolution=f"{BRING} The key must not have a passphrase.",
        ) from problem
    if key.public_key() != certificate.public_key():
        raise UserError(f"db.crt in {pair.folder} is not the certificate of db.key.", resolution=BRING)
