"""A private key on a token, named by a PKCS #11 URI (RFC 7512), and that name as a file that OpenSSL reads."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

SCHEME = "pkcs11:"
OF_TOKEN = frozenset({"token", "manufacturer", "serial", "model"})
OF_KEY = frozenset({"object", "id"})
OF_PLACE = frozenset({"slot-id", "slot-description", "slot-manufacturer"})
OF_LIBRARY = frozenset({"library-manufacturer", "library-description", "library-version"})
KNOWN = OF_TOKEN | OF_KEY | OF_PLACE | OF_LIBRARY | {"type"}
ASKED = frozenset({"module-path", "pin-source"})
LABEL = "PKCS#11 PROVIDER URI"
DESCRIPTION = "PKCS#11 Provider URI v1.0"
SEQUENCE, VISIBLE_STRING, UTF8_STRING = 0x30, 0x1A, 0x0C


@dataclass(frozen=True, slots=True)
class KeyUri:
    """Where a private key is.

    `attributes` are names and values as written, percent-encoded. `module` is the path of the PKCS #11 module,
    `pin_source` the path of the file with the PIN; both are empty where the URI leaves them to others.
    """

    attributes: tuple[tuple[str, str], ...]
    module: str = ""
    pin_source: str = ""

    @property
    def token(self) -> str:
        """The URI of the token alone."""
        return _join(each for each in self.attributes if each[0] in OF_TOKEN)

    @property
    def key(self) -> str:
        """The URI of the private key, without what is of this machine only."""
        return _join([*(each for each in self.attributes if each[0] != "type"), ("type", "private")])


def parse_key_uri(text: str) -> KeyUri:
    """The key that the URI names. Raises `ValueError` with what keeps it from naming one."""
    if not text.startswith(SCHEME):
        raise ValueError(f"it does not begin with {SCHEME}")
    path, _, query = text.removeprefix(SCHEME).partition("?")
    attributes, asked = _pairs(path, ";"), dict(_pairs(query, "&"))
    named = dict(attributes)
    if "pin-value" in asked:
        raise ValueError("it has a pin-value: a PIN does not belong beside the key's name")
    strange = sorted((named.keys() - KNOWN) | (asked.keys() - ASKED))
    if strange:
        raise ValueError(f"what is {', '.join(strange)}?")
    if named.get("type", "private") != "private":
        raise ValueError("its type is not private")
    if not named.keys() & OF_KEY:
        raise ValueError("it names a token, but no key on it: object or id is missing")
    return KeyUri(attributes, unquote(asked.get("module-path", "")), _file(unquote(asked.get("pin-source", ""))))


def key_file(uri: KeyUri) -> bytes:
    """What stands for the key where a program wants a file: PEM that pkcs11-provider takes for its URI.

    A SEQUENCE of a VisibleString, which says what it is, and a UTF8String with the URI (pkcs11-provider,
    docs/ and tools/uri2pem.py).
    """
    inside = _der(VISIBLE_STRING, DESCRIPTION.encode()) + _der(UTF8_STRING, uri.key.encode())
    body = base64.encodebytes(_der(SEQUENCE, inside)).decode()
    return f"-----BEGIN {LABEL}-----\n{body}-----END {LABEL}-----\n".encode()


def _pairs(text: str, separator: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for part in text.split(separator) if text else ():
        name, equals, value = part.partition("=")
        if not equals or not value or not part.isascii() or not part.isprintable() or " " in part:
            raise ValueError(f"{part!r} is not NAME=VALUE, with % before what is not plain")
        pairs.append((name, value))
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"it says {', '.join(twice)} more than once")
    return tuple(pairs)


def _file(source: str) -> str:
    """The path in a pin-source, which may be a file URI."""
    if source.startswith("|"):
        raise ValueError("its pin-source is a program; only a file is read")
    return source.removeprefix("file:").removeprefix("//")


def _join(attributes: Iterable[tuple[str, str]]) -> str:
    return SCHEME + ";".join(f"{name}={value}" for name, value in attributes)


def _der(tag: int, content: bytes) -> bytes:
    """One element in DER (X.690): tag, length, content."""
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(size)]) + size + content
