"""Release keys on tokens: smart cards and HSMs, through the PKCS #11 module of their maker and securesystemslib.

A key is named `hsm:NUMBER?label=TOKEN`: NUMBER is its id (CKA_ID) in decimal. `pin-source=FILE` beside that is ours; it
means what it means in RFC 7512. The library takes the module's path from the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl

from pkcs11.exceptions import PinExpired, PinIncorrect, PinInvalid, PinLenRange, PinLocked
from securesystemslib.signer import Key, Signer

from bedplate.host.pins import pin_in, read_pin
from bedplate.model.errors import BedplateError, MachineError, UserError

HSM = "hsm:"
MODULE = "PYKCS11LIB"
KNOWN = {"label", "pin-source"}
SIGNS = {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384"}
"""All that securesystemslib has tokens sign with."""


def require_token_key(uri: str, key: Key) -> None:
    """Raises `UserError` for a name that leads to no key, and for a key with which no token signs."""
    number, asked = _parts(uri)
    if not number.isdecimal() or not number.isascii():
        raise UserError(
            f"{HSM}{number} names no key on a token.",
            details="What follows has to be the key's id, in decimal.",
            resolution=f"Write {HSM}NUMBER?label=TOKEN.",
        )
    if asked.keys() - KNOWN:
        # It may be a PIN, so it is not repeated.
        raise UserError(
            "A key on a token is named by more than its number, label and pin-source.",
            resolution=f"Write {HSM}NUMBER?label=TOKEN&pin-source=FILE. A PIN itself does not belong there.",
        )
    if key.scheme not in SIGNS:
        raise UserError(
            f"A token cannot sign with {key.scheme} here.",
            resolution="Make the key on the token with ECDSA, on the curve P-256 or P-384.",
        )


def token_signer(uri: str, key: Key, folder: Path, environment: Mapping[str, str]) -> Signer:
    """What signs with the key on the token. A file with the PIN is looked for from `folder` on.

    Raises `UserError` when no module or no PIN is named.
    """
    require_token_key(uri, key)
    _require_module(environment)
    source = _parts(uri)[1].get("pin-source", "").removeprefix("file:").removeprefix("//")
    pin = read_pin(folder / source) if source else pin_in(environment, "the URI: pin-source=FILE")
    return Signer.from_priv_key_uri(uri, key, lambda _: pin)


def why_not(uri: str, problem: Exception, file: Path) -> BedplateError:
    """What to tell when the token did not sign; `file` is where its key is named."""
    said = f"{type(problem).__name__}: {problem}".removesuffix(": ")
    match problem:
        case PinIncorrect() | PinInvalid() | PinLenRange():
            return UserError(
                f"The token refuses the PIN for {uri}.",
                details=said,
                resolution="Look up the PIN before you try again. A wrong one was tried once now;\n"
                "most tokens lock themselves after a few.",
            )
        case PinLocked() | PinExpired():
            return MachineError(
                f"The token of {uri} takes no PIN any more.",
                details=said,
                resolution="Give it a new PIN with the token's own tool, as its security officer.",
            )
        case ValueError():
            return MachineError(
                f"There is no token with {uri}.",
                details=said,
                resolution=f"Plug it in, and see that label and number in {file} are those that\n"
                "`pkcs11-tool --login --list-objects` shows.",
            )
    return MachineError(
        f"The token of {uri} cannot be used.",
        details=said,
        resolution=f"See that {MODULE} names the module of this token, and what the token's own tool says.",
    )


def _require_module(environment: Mapping[str, str]) -> None:
    module = environment.get(MODULE, "")
    example = f"Put its path into the environment: {MODULE}=/usr/lib/softhsm/libsofthsm2.so for SoftHSM."
    if not module:
        raise UserError("No PKCS #11 module is named that leads to the token.", resolution=example)
    if not Path(module).is_file():
        raise UserError(f"{MODULE} names a module that is not there.", details=module, resolution=example)


def _parts(uri: str) -> tuple[str, dict[str, str]]:
    number, _, query = uri.removeprefix(HSM).partition("?")
    return number, dict(parse_qsl(query, keep_blank_values=True))
