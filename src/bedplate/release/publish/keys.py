"""Keys and who holds them: a folder with `keys.json`, which names each key and where its private half is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.signer import CryptoSigner, Key, Signer, SSlibKey

from bedplate.host.files import write_atomically
from bedplate.model.errors import UserError
from bedplate.release.publish.roles import RULES, Rule
from bedplate.release.publish.signers import IN_A_FILE, HeldKey, signer_of
from bedplate.release.publish.tokens import HSM, require_token_key

FILE = "keys.json"


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of keys.json. `days` is how long signatures of each role are valid."""

    keys: tuple[HeldKey, ...] = ()
    days: dict[str, int] = msgspec.field(default_factory=lambda: {role: rule.days for role, rule in RULES.items()})


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that no folder has yet. `signer` has its private half where that is to be a file."""

    held: HeldKey
    signer: CryptoSigner | None = None


class Keyring:
    """The keys of one or more folders. A key file that is not in its folder is not here: it may lie on other media.

    A key elsewhere, such as on a token, counts as here until it is to sign.

    `environment` is the user's, which may say how to come to a token.
    """

    def __init__(self, folders: Sequence[Path], environment: Mapping[str, str] = MappingProxyType({})) -> None:
        self._environment = environment
        found = [(folder, read_keys(folder)) for folder in folders]
        self.days: Mapping[str, int] = found[0][1].days if found else Keys().days
        self._known = {held.keyid: held for _, keys in reversed(found) for held in keys.keys}
        self._here = {
            held.keyid: (folder, held)
            for folder, keys in reversed(found)
            for held in keys.keys
            if _is_here(folder, held)
        }
        self._new: dict[str, Signer] = {}

    def of_role(self, role: str) -> list[Key]:
        return [held.key() for held in self._known.values() if held.role == role]

    def add(self, folder: Path, key: NewKey) -> None:
        """Sign with a key, too, that `folder` does not have yet."""
        self._known[key.held.keyid] = key.held
        self._here[key.held.keyid] = (folder, key.held)
        if key.signer:
            self._new[key.held.keyid] = key.signer

    def do_without(self, keyids: Iterable[str]) -> None:
        """Take these keys for ones that are not here."""
        for keyid in keyids:
            self._here.pop(keyid, None)

    def count(self, keyids: Iterable[str]) -> int:
        """How many of those keys are here. None is opened for that: some would ask for a PIN."""
        return sum(keyid in self._here for keyid in keyids)

    def signers(self, keyids: Iterable[str]) -> list[Signer]:
        """The signers of those keys that are here, in the order of the keys."""
        return [self._signer(*self._here[keyid]) for keyid in keyids if keyid in self._here]

    def require(self, role: str, keyids: Sequence[str], threshold: int) -> None:
        """Raise `UserError` with the keys that are missing to sign as `role`."""
        lacking = [keyid for keyid in keyids if keyid not in self._here]
        found = len(keyids) - len(lacking)
        if found < threshold:
            raise UserError(
                f"Too few keys of {role} are here: {found} of the {threshold} that have to sign.",
                details="\n".join(f"not here: {self._name(keyid)}" for keyid in lacking),
                resolution="Name the folders that hold them with --keys, once for each folder.",
            )

    def _signer(self, folder: Path, held: HeldKey) -> Signer:
        return self._new.get(held.keyid) or signer_of(held, folder / FILE, self._environment)

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
    made = [_generated(role, number + 1) for role, rule in rules.items() for number in range(rule.keys)]
    for each in made:
        _write_private(folder, each)
    _write(folder, Keys(tuple(each.held for each in made), {role: rule.days for role, rule in rules.items()}))


def make_key(folder: Path, role: str) -> HeldKey:
    """One more key for a role, kept in the folder."""
    return keep_key(folder, new_key(folder, role))


def name_key(folder: Path, role: str, uri: str, public: Path) -> HeldKey:
    """Note a key whose private half is elsewhere; `public` is its public half in PEM."""
    return keep_key(folder, named_key(role, uri, public))


def new_key(folder: Path, role: str) -> NewKey:
    """A key that can be kept in the folder. No name is used twice: the other key may be elsewhere."""
    taken = {held.uri for held in read_keys(folder).keys} if (folder / FILE).exists() else set()
    number = 1
    while f"{IN_A_FILE}{role}-{number}.pem" in taken or (folder / f"{role}-{number}.pem").exists():
        number += 1
    return _generated(role, number)


def named_key(role: str, uri: str, public: Path) -> NewKey:
    """A key whose private half is elsewhere; `public` is its public half in PEM."""
    try:
        key = SSlibKey.from_crypto(load_pem_public_key(public.read_bytes()))
    except (OSError, ValueError, UnsupportedAlgorithm) as problem:
        raise UserError(
            f"{public} holds no public key that can be used.",
            details=str(problem),
            resolution="Give RSA, Ed25519 or ECDSA on a NIST curve, in PEM.",
        ) from problem
    if uri.startswith(HSM):
        require_token_key(uri, key)
    return NewKey(HeldKey(key.keyid, role, uri, key.to_dict()))


def keep_key(folder: Path, key: NewKey) -> HeldKey:
    """Write the private half where the folder is to have it, then note the key in keys.json."""
    _write_private(folder, key)
    return _note(folder, key.held)


def _generated(role: str, number: int) -> NewKey:
    signer = CryptoSigner.generate_ed25519()
    uri = f"{IN_A_FILE}{role}-{number}.pem"
    return NewKey(HeldKey(signer.public_key.keyid, role, uri, signer.public_key.to_dict()), signer)


def _write_private(folder: Path, key: NewKey) -> None:
    if key.signer:
        write_atomically(folder / key.held.uri.removeprefix(IN_A_FILE), key.signer.private_bytes, mode=0o600)


def _note(folder: Path, held: HeldKey) -> HeldKey:
    """A key that is there already is named anew: its first name may have been wrong."""
    keys = read_keys(folder) if (folder / FILE).exists() else Keys()
    others = [each for each in keys.keys if (each.keyid, each.role) != (held.keyid, held.role)]
    _write(folder, Keys((*others, held), keys.days))
    return held


def _write(folder: Path, keys: Keys) -> None:
    write_atomically(folder / FILE, msgspec.json.format(msgspec.json.encode(keys), indent=1) + b"\n", mode=0o600)


def _is_here(folder: Path, held: HeldKey) -> bool:
    return not held.uri.startswith(IN_A_FILE) or (folder / held.uri.removeprefix(IN_A_FILE)).is_file()
