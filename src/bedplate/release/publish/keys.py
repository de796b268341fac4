"""Keys and who holds them: a folder with `keys.json`, which names each key and where its private half is.

The private half is named by a URI of securesystemslib: a file in this folder by default, a token (`hsm:`) or a cloud's
key service (`gcpkms:`, `awskms:`, `azurekms:`, `hv:`) where the user says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from securesystemslib.signer import CryptoSigner, Key, Signer, SSlibKey

from bedplate.host.files import write_atomically
from bedplate.model.errors import MachineError, UserError
from bedplate.release.publish.roles import RULES, Rule

FILE = "keys.json"
IN_A_FILE = "file2:"
"""The scheme of a private key in a file; a name without a folder is one beside keys.json."""


class HeldKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key that was made or named for `role`; `uri` leads to its private half, `public` is as in TUF metadata."""

    keyid: str
    role: str
    uri: str
    public: dict[str, Any]

    def key(self) -> Key:
        return Key.from_dict(self.keyid, dict(self.public))


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of keys.json. `days` is how long signatures of each role are valid."""

    keys: tuple[HeldKey, ...] = ()
    days: dict[str, int] = msgspec.field(default_factory=lambda: {role: rule.days for role, rule in RULES.items()})


class Keyring:
    """The keys of one or more folders. A key file that is not in its folder is not here: it may lie on other media."""

    def __init__(self, folders: Sequence[Path]) -> None:
        found = [(folder, read_keys(folder)) for folder in folders]
        self.days: Mapping[str, int] = found[0][1].days if found else Keys().days
        self._known = {held.keyid: held for _, keys in reversed(found) for held in keys.keys}
        self._here = {
            held.keyid: (folder, held)
            for folder, keys in reversed(found)
            for held in keys.keys
            if _is_here(folder, held)
        }

    def of_role(self, role: str) -> list[Key]:
        return [held.key() for held in self._known.values() if held.role == role]

    def signers(self, keyids: Iterable[str]) -> list[Signer]:
        """The signers of those keys that are here, in the order of the keys."""
        return [_signer(*self._here[keyid]) for keyid in keyids if keyid in self._here]

    def require(self, role: str, keyids: Sequence[str], threshold: int, *, besides: Collection[str] = ()) -> None:
        """Raise `UserError` with the keys that are missing to sign as `role`; those of `besides` count as here."""
        lacking = [keyid for keyid in keyids if keyid not in self._here and keyid not in besides]
        found = len(keyids) - len(lacking)
        if found < threshold:
            raise UserError(
                f"Too few keys of {role} are here: {found} of the {threshold} that have to sign.",
                details="\n".join(f"not here: {self._name(keyid)}" for keyid in lacking),
                resolution="Name the folders that hold them with --keys, once for each folder.",
            )

    def _name(self, keyid: str) -> str:
        return f"{keyid} ({self._known[keyid].uri})" if keyid in self._known else keyid


def read_keys(folder: Path) -> Keys:
    """Raises `UserError` when there are none or they cannot be read."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Keys)
    except FileNotFoundError as problem:
        raise UserError(
            f"There are no release keys in {folder}.",
            details=f"{folder / FILE} is not there.",
            resolution="Make some with `bedplate release init`, or name their folder with --keys.",
        ) from problem
    except msgspec.MsgspecError as problem:
        raise UserError(f"{folder / FILE} cannot be read.", details=str(problem)) from problem


def make_keys(folder: Path, rules: Mapping[str, Rule] = RULES) -> None:
    """New Ed25519 keys for every role (RFC 8032), each in a file that only its owner may read."""
    if (folder / FILE).exists():
        raise UserError(f"{folder} has release keys already.", resolution="Use them, or name another folder.")
    made = tuple(_make(folder, role, number + 1) for role, rule in rules.items() for number in range(rule.keys))
    _write(folder, Keys(made, {role: rule.days for role, rule in rules.items()}))


def make_key(folder: Path, role: str) -> HeldKey:
    """One more key for a role, noted in the folder. No name is used twice: the other key may be elsewhere."""
    taken = {held.uri for held in read_keys(folder).keys} if (folder / FILE).exists() else set()
    number = 1
    while f"{IN_A_FILE}{role}-{number}.pem" in taken or (folder / f"{role}-{number}.pem").exists():
        number += 1
    return _note(folder, _make(folder, role, number))


def name_key(folder: Path, role: str, uri: str, public: Path) -> HeldKey:
    """Note a key whose private half is elsewhere; `public` is its public half in PEM."""
    try:
        key = SSlibKey.from_crypto(load_pem_public_key(public.read_bytes()))
    except (OSError, ValueError, UnsupportedAlgorithm) as problem:
        raise UserError(
            f"{public} holds no public key that can be used.",
            details=str(problem),
            resolution="Give RSA, Ed25519 or ECDSA on a NIST curve, in PEM.",
        ) from problem
    return _note(folder, HeldKey(key.keyid, role, uri, key.to_dict()))


def _make(folder: Path, role: str, number: int) -> HeldKey:
    signer = CryptoSigner.generate_ed25519()
    name = f"{role}-{number}.pem"
    write_atomically(folder / name, signer.private_bytes, mode=0o600)
    return HeldKey(signer.public_key.keyid, role, f"{IN_A_FILE}{name}", signer.public_key.to_dict())


def _note(folder: Path, held: HeldKey) -> HeldKey:
    keys = read_keys(folder) if (folder / FILE).exists() else Keys()
    _write(folder, Keys((*keys.keys, held), keys.days))
    return held


def _write(folder: Path, keys: Keys) -> None:
    write_atomically(folder / FILE, msgspec.json.format(msgspec.json.encode(keys), indent=1) + b"\n", mode=0o600)


def _is_here(folder: Path, held: HeldKey) -> bool:
    return not held.uri.startswith(IN_A_FILE) or (folder / held.uri.removeprefix(IN_A_FILE)).is_file()


def _signer(folder: Path, held: HeldKey) -> Signer:
    """Files are read here, since the library takes its path apart as a URI: one with a # would lead elsewhere."""
    try:
        key = held.key()
        if held.uri.startswith(IN_A_FILE) and isinstance(key, SSlibKey):
            path = folder / held.uri.removeprefix(IN_A_FILE)
            return CryptoSigner(load_pem_private_key(path.read_bytes(), password=None), key)
        return Signer.from_priv_key_uri(held.uri, key)
    except Exception as problem:  # each kind of signer has errors of its own, and documents that it does
        raise MachineError(
            f"The key {held.uri} of {held.role} cannot be used.",
            details=f"{type(problem).__name__}: {problem}",
            resolution=f"Look at {folder / FILE}: it says where the key should be.",
        ) from problem
