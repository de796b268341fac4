"""A key on a token is named in a file; its PIN is in none that others can read, and in no message."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.host.pins import PIN
from bedplate.image.keys import own_signer
from bedplate.image.token import TokenPair, token_pair
from bedplate.model.errors import MachineError, UserError
from tests.unit.image.test_keys import private_key, write_certificate, write_key

SECRET = "314159"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has p11-kit."""
    program = tmp_path / "bin/p11-kit"
    program.parent.mkdir()
    program.touch(mode=0o755)
    return {"PATH": str(program.parent), "VENDOR_CONF": "/etc/vendor.conf", PIN: SECRET}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The keys of such a user."""
    folder = tmp_path / "keys"
    folder.mkdir()
    write_certificate(folder, private_key())
    (folder / "db.uri").write_text("pkcs11:token=release;object=db\n")
    return folder


def test_the_pin_comes_from_the_environment(folder: Path, environment: dict[str, str]) -> None:
    assert token_pair(folder, environment).pin == SECRET


def test_the_pin_comes_from_a_file_that_is_its_owners_alone(folder: Path, environment: dict[str, str]) -> None:
    (folder / "db.uri").write_text("pkcs11:object=db?pin-source=pin")
    (folder / "pin").touch(mode=0o600)
    (folder / "pin").write_text("271828\n")
    assert token_pair(folder, environment).pin == "271828"


def test_a_pin_that_others_can_read_is_refused(folder: Path, environment: dict[str, str]) -> None:
    (folder / "db.uri").write_text("pkcs11:object=db?pin-source=pin")
    (folder / "pin").touch(mode=0o644)
    with pytest.raises(UserError, match="Others may read the PIN"):
        token_pair(folder, environment)


def test_without_a_pin_both_ways_to_give_one_are_told(folder: Path, environment: dict[str, str]) -> None:
    del environment[PIN]
    with pytest.raises(UserError, match="no PIN") as caught:
        token_pair(folder, environment)
    assert PIN in caught.value.resolution
    assert "pin-source" in caught.value.resolution


def test_an_empty_pin_is_one(folder: Path, environment: dict[str, str]) -> None:
    assert token_pair(folder, environment | {PIN: ""}).pin == ""


def test_the_module_gets_the_users_environment_without_the_pin(folder: Path, environment: dict[str, str]) -> None:
    given = token_pair(folder, environment).environment
    assert (given["VENDOR_CONF"], PIN in given) == ("/etc/vendor.conf", False)


def test_a_pair_does_not_tell_its_pin(folder: Path, environment: dict[str, str]) -> None:
    assert SECRET not in repr(token_pair(folder, environment))


@pytest.mark.parametrize("uri", ["pkcs11:token=release", "", f"pkcs11:object=db?pin-value={SECRET}"])
def test_a_file_that_names_no_key_is_refused(folder: Path, environment: dict[str, str], uri: str) -> None:
    (folder / "db.uri").write_text(uri)
    with pytest.raises(UserError, match="does not name a private key") as caught:
        token_pair(folder, environment)
    assert SECRET not in str(caught.value)


def test_a_module_that_is_not_there_is_named(folder: Path, environment: dict[str, str]) -> None:
    (folder / "db.uri").write_text("pkcs11:object=db?module-path=/absent.so")
    with pytest.raises(UserError, match="a module that is not there") as caught:
        token_pair(folder, environment)
    assert caught.value.details == "/absent.so"


def test_what_leads_to_the_token_has_to_be_installed(folder: Path, environment: dict[str, str]) -> None:
    with pytest.raises(MachineError, match="p11-kit is not there"):
        token_pair(folder, environment | {"PATH": str(folder)})


@pytest.mark.parametrize("content", ["", "no certificate"])
def test_a_certificate_that_cannot_be_read_is_refused(folder: Path, environment: dict[str, str], content: str) -> None:
    (folder / "db.crt").write_text(content)
    with pytest.raises(UserError, match=r"db.crt is not a certificate"):
        token_pair(folder, environment)


def test_a_folder_says_where_the_key_is(folder: Path, environment: dict[str, str]) -> None:
    assert isinstance(own_signer(folder, environment), TokenPair)


def test_a_folder_with_two_keys_is_refused(folder: Path, environment: dict[str, str]) -> None:
    write_key(folder, private_key())
    with pytest.raises(UserError, match=r"has both db.key and db.uri"):
        own_signer(folder, environment)
