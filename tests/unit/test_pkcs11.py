"""A URI names one private key on one token, or is refused with the reason."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.wire.pkcs11 import KeyUri, key_file, parse_key_uri

WHOLE = "pkcs11:token=Release%20keys;object=db;id=%01?module-path=/usr/lib/a%20b.so&pin-source=file:/home/me/pin"


def test_a_uri_names_token_key_module_and_pin() -> None:
    uri = parse_key_uri(WHOLE)
    assert uri.token == "pkcs11:token=Release%20keys"
    assert uri.key == "pkcs11:token=Release%20keys;object=db;id=%01;type=private"
    assert (uri.module, uri.pin_source) == ("/usr/lib/a b.so", "/home/me/pin")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("file:/a/pin", "/a/pin"), ("file:///a/pin", "/a/pin"), ("/a/pin", "/a/pin"), ("pin%20a", "pin a")],
)
def test_a_pin_source_is_a_path_or_a_file_uri(written: str, meant: str) -> None:
    assert parse_key_uri(f"pkcs11:object=db?pin-source={written}").pin_source == meant


def test_any_token_will_do_where_none_is_named() -> None:
    assert parse_key_uri("pkcs11:object=db").token == "pkcs11:"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "does not begin with pkcs11:"),
        ("/dev/key.pem", "does not begin with pkcs11:"),
        ("pkcs11:", "object or id is missing"),
        ("pkcs11:token=a", "object or id is missing"),
        ("pkcs11:object", "is not NAME=VALUE"),
        ("pkcs11:object=", "is not NAME=VALUE"),
        ("pkcs11:object=a b", "is not NAME=VALUE"),
        ("pkcs11:object=ä", "is not NAME=VALUE"),
        ("pkcs11:object=a\nb", "is not NAME=VALUE"),
        ("pkcs11:object=a;object=b", "object more than once"),
        ("pkcs11:object=a;tokne=b", "what is tokne"),
        ("pkcs11:object=a?module-name=b", "what is module-name"),
        ("pkcs11:object=a;type=cert", "its type is not private"),
        ("pkcs11:object=a?pin-source=|date", "pin-source is a program"),
    ],
)
def test_what_names_no_private_key_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_key_uri(text)


def test_a_pin_beside_the_name_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="it has a pin-value") as caught:
        parse_key_uri("pkcs11:object=a?pin-value=123456")
    assert "123456" not in str(caught.value)


@given(st.text())
def test_any_text_is_a_uri_or_a_value_error(text: str) -> None:
    try:
        uri = parse_key_uri(f"pkcs11:{text}")
    except ValueError:
        return
    assert parse_key_uri(uri.key).key == uri.key


def test_the_name_stands_as_pem_for_the_key() -> None:
    head, *body, foot = key_file(parse_key_uri("pkcs11:object=db")).decode().splitlines()
    assert (head, foot) == ("-----BEGIN PKCS#11 PROVIDER URI-----", "-----END PKCS#11 PROVIDER URI-----")
    told, name = b"\x1a\x19PKCS#11 Provider URI v1.0", b"\x0c\x1dpkcs11:object=db;type=private"
    assert base64.b64decode("".join(body)) == bytes([0x30, len(told + name)]) + told + name


@pytest.mark.parametrize(("size", "head"), [(100, b"\x30\x81"), (300, b"\x30\x82")])
def test_a_long_name_has_its_length_in_more_bytes(size: int, head: bytes) -> None:
    body = b"".join(key_file(KeyUri((("object", "a" * size),))).splitlines()[1:-1])
    der = base64.b64decode(body)
    assert der[:2] == head
    assert len(der) == 2 + head[1] - 0x80 + int.from_bytes(der[2 : 2 + head[1] - 0x80])
