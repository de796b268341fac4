"""A key on a token is named without its PIN, and whoever is at fault is told before or after it was asked to sign."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11.exceptions import DeviceRemoved, PinIncorrect, PinLenRange, PinLocked
from securesystemslib.signer import Signer

from bedplate.host.pins import PIN
from bedplate.model.errors import MachineError, UserError
from bedplate.release.publish.keys import FILE, Keyring, make_keys, name_key, read_keys
from bedplate.release.publish.tokens import MODULE, why_not

URI = "hsm:1?label=release+keys"
SECRET = "314159"
Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    make_keys(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "module.so").touch()
    return {MODULE: str(tmp_path / "module.so"), PIN: SECRET}


def public(folder: Path, private: Private | None = None) -> Path:
    key = (private or ec.generate_private_key(ec.SECP256R1())).public_key()
    (folder / "key.pub").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return folder / "key.pub"


def signers(folder: Path, uri: str, environment: dict[str, str]) -> list[Signer]:
    held = name_key(folder, "timestamp", uri, public(folder))
    return Keyring([folder], environment).signers([held.keyid])


@pytest.mark.parametrize("uri", ["hsm:1", URI, f"{URI}&pin-source=pin", "hsm:18?pin-source=file:///home/me/pin"])
def test_a_key_on_a_token_has_a_number_and_its_token_a_label(keys: Path, uri: str) -> None:
    assert name_key(keys, "timestamp", uri, public(keys)).uri == uri


@pytest.mark.parametrize(
    "uri", ["hsm:", "hsm:?label=a", "hsm:x", "hsm:0x12", "hsm:²", f"hsm:1?pin={SECRET}", f"hsm:1?{SECRET}"]
)
def test_another_name_is_refused_before_it_is_noted_and_what_may_be_a_pin_is_not_repeated(keys: Path, uri: str) -> None:
    before = (keys / FILE).read_bytes()
    with pytest.raises(UserError, match="hsm:NUMBER") as caught:
        name_key(keys, "timestamp", uri, public(keys))
    assert SECRET not in str(caught.value)
    assert (keys / FILE).read_bytes() == before


@pytest.mark.parametrize("private", [rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()])
def test_a_key_of_a_kind_with_which_no_token_signs_is_refused(keys: Path, private: Private) -> None:
    with pytest.raises(UserError, match=r"A token cannot sign with (rsa|ed25519)") as caught:
        name_key(keys, "timestamp", URI, public(keys, private))
    assert "P-256 or P-384" in caught.value.resolution


def test_a_key_that_is_named_again_is_noted_once_under_its_new_name(keys: Path) -> None:
    file = public(keys)
    for uri in (URI, "hsm:2"):
        held = name_key(keys, "timestamp", uri, file)
    assert [each.uri for each in read_keys(keys).keys if each.keyid == held.keyid] == ["hsm:2"]


def test_the_pin_comes_from_the_environment(keys: Path, environment: dict[str, str]) -> None:
    assert len(signers(keys, URI, environment)) == 1
    del environment[PIN]
    with pytest.raises(UserError, match="no PIN for the token") as caught:
        signers(keys, URI, environment)
    assert PIN in caught.value.resolution
    assert "pin-source=FILE" in caught.value.resolution


def test_how_many_keys_are_here_is_known_without_a_pin(keys: Path) -> None:
    held = name_key(keys, "timestamp", URI, public(keys))
    (of_a_file,) = [each for each in read_keys(keys).keys if each.role == "snapshot"]
    assert Keyring([keys]).count([held.keyid, of_a_file.keyid, "ab" * 32]) == 2


@pytest.mark.parametrize("source", ["pin", "file:pin"])
def test_or_from_a_file_that_is_its_owners_alone(keys: Path, environment: dict[str, str], source: str) -> None:
    del environment[PIN]
    (keys / "pin").touch(mode=0o644)
    with pytest.raises(UserError, match="Others may read the PIN"):
        signers(keys, f"{URI}&pin-source={source}", environment)
    (keys / "pin").chmod(0o600)
    assert len(signers(keys, f"{URI}&pin-source={source}", environment)) == 1


def test_a_file_with_the_pin_that_is_not_there_is_named(keys: Path, environment: dict[str, str]) -> None:
    with pytest.raises(UserError, match="cannot be read from /absent"):
        signers(keys, f"{URI}&pin-source=/absent", environment)


def test_a_module_has_to_be_named_and_to_be_there(keys: Path, environment: dict[str, str]) -> None:
    with pytest.raises(UserError, match="names a module that is not there"):
        signers(keys, URI, environment | {MODULE: "/absent.so"})
    del environment[MODULE]
    with pytest.raises(UserError, match="No PKCS #11 module is named"):
        signers(keys, URI, environment)


@pytest.mark.parametrize(
    ("problem", "whose", "words"),
    [
        (PinIncorrect(), UserError, "lock themselves"),
        (PinLenRange(), UserError, "lock themselves"),
        (PinLocked(), MachineError, "security officer"),
        (ValueError("No PKCS#11 token found"), MachineError, "Plug it in"),
        (DeviceRemoved(), MachineError, "names the module of this token"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_a_token_says_is_told_with_whose_affair_it_is(problem: Exception, whose: type, words: str) -> None:
    told = why_not(URI, problem, Path(FILE))
    assert type(told) is whose
    assert words in told.resolution
    assert type(problem).__name__ in told.details
