"""What signs with a key, wherever its private half is, and tells in our words why it cannot.

The private half is named by a URI of securesystemslib: a file in the folder of keys.json by default, a token (`hsm:`)
or a cloud's key service (`gcpkms:`, `awskms:`, `azurekms:`, `hv:`) where the user says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.exceptions import UnsupportedLibraryError, UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, Key, SecretsHandler, Signature, Signer, SSlibKey
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from bedplate.model.errors import BedplateError, MachineError, UserError
from bedplate.release.publish.tokens import HSM, token_signer, why_not

IN_A_FILE = "file2:"
"""The scheme of a private key in a file; a name without a folder is one beside keys.json."""
S = TypeVar("S", Root, Snapshot, Targets, Timestamp)


class HeldKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key that was made or named for `role`; `uri` leads to its private half, `public` is as in TUF metadata."""

    keyid: str
    role: str
    uri: str
    public: dict[str, Any]

    def key(self) -> Key:
        return Key.from_dict(self.keyid, dict(self.public))


class CheckedSigner(Signer):
    """Signs with `signer`, and sees that `public_key` verifies it: nodes would refuse what another key signed.

    Raises what `told` makes of a signer's own errors.
    """

    def __init__(self, signer: Signer, uri: str, told: Callable[[Exception], BedplateError]) -> None:
        self._signer, self._uri, self._told = signer, uri, told

    @property
    def public_key(self) -> Key:
        return self._signer.public_key

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> NoReturn:
        raise NotImplementedError

    def sign(self, payload: bytes) -> Signature:
        try:
            signature = self._signer.sign(payload)
        except Exception as problem:
            raise self._told(problem) from problem
        try:
            self.public_key.verify_signature(signature, payload)
        except UnverifiedSignatureError as problem:
            raise UserError(
                f"{self._uri} is not the private half of the key that it was named for.",
                details=f"What it signs, {self.public_key.keyid} does not verify.",
                resolution="Name it with its own public half, or name the right private one.",
            ) from problem
        return signature


def signer_of(held: HeldKey, file: Path, environment: Mapping[str, str]) -> Signer:
    """What signs with the key, which the keys.json that is `file` names; `environment` is the user's.

    Raises `UserError` and `MachineError`, now or when it is to sign.
    """

    def told(problem: Exception) -> BedplateError:
        return why_not(held.uri, problem, file) if held.uri.startswith(HSM) else _unusable(held, problem, file)

    try:
        return CheckedSigner(_opened(held, file.parent, environment), held.uri, told)
    except BedplateError:
        raise
    except Exception as problem:  # each kind of signer has errors of its own, and documents that it does
        raise told(problem) from problem


def signed(role: S, signers: Sequence[Signer]) -> bytes:
    """The metadata of a role with a signature of each signer."""
    document = Metadata(role)
    for signer in {signer.public_key.keyid: signer for signer in signers}.values():
        try:
            document.sign(signer, append=True)
        except UnsignedMetadataError as problem:
            told = problem.__cause__
            if isinstance(told, BedplateError):
                raise told from told.__cause__
            raise
    return document.to_bytes()


def _opened(held: HeldKey, folder: Path, environment: Mapping[str, str]) -> Signer:
    """Files are read here, since the library takes their path apart as a URI: one with a # would lead elsewhere."""
    key = held.key()
    if held.uri.startswith(IN_A_FILE) and isinstance(key, SSlibKey):
        private = (folder / held.uri.removeprefix(IN_A_FILE)).read_bytes()
        return CryptoSigner(load_pem_private_key(private, password=None), key)
    if held.uri.startswith(HSM):
        return token_signer(held.uri, key, folder, environment)
    return Signer.from_priv_key_uri(held.uri, key)


def _unusable(held: HeldKey, problem: Exception, file: Path) -> MachineError:
    resolution = f"Look at {file}: it says where the key should be."
    if isinstance(problem, UnsupportedLibraryError):
        resolution = f"Install the Python package securesystemslib[{held.uri.partition(':')[0]}] beside Bedplate."
    return MachineError(
        f"The key {held.uri} of {held.role} cannot be used.",
        details=f"{type(problem).__name__}: {problem}",
        resolution=resolution,
    )
