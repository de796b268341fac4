"""How long a certificate is valid (X.509, RFC 5280 section 4.1), for where a whole X.509 library is too much."""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from datetime import UTC, datetime

BEGIN, END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
SEQUENCE, EXPLICIT_VERSION, UTC_TIME, GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until when, both included."""

    start: datetime
    end: datetime


def read_validity(pem: bytes) -> Validity:
    """The validity of the first certificate in `pem`, whatever else that holds. ValueError when there is none."""
    _, begin, rest = pem.partition(BEGIN)
    body, end, _ = rest.partition(END)
    if not begin or not end:
        raise ValueError("no certificate in PEM")
    try:
        return _validity(binascii.a2b_base64(body))
    except IndexError as problem:
        raise ValueError("the certificate ends too early") from problem


def _validity(der: bytes) -> Validity:
    certificate, _ = _content(der, 0, SEQUENCE)
    fields, _ = _content(der, certificate, SEQUENCE)
    if der[fields] == EXPLICIT_VERSION:
        fields = _content(der, fields)[1]
    for _serial_signature_issuer in range(3):
        fields = _content(der, fields)[1]
    start, _ = _content(der, fields, SEQUENCE)
    _, end = _content(der, start)
    return Validity(_time(der, start), _time(der, end))


def _content(der: bytes, at: int, tag: int | None = None) -> tuple[int, int]:
    """Where the content of the element at `at` begins, and where it ends (X.690 section 8.1)."""
    if tag is not None and der[at] != tag:
        raise ValueError(f"tag {der[at]:#x} where {tag:#x} should be")
    length, begin = der[at + 1], at + 2
    if length & 0x80:
        begin += length & 0x7F
        length = int.from_bytes(der[at + 2 : begin], "big")
    if begin + length > len(der):
        raise IndexError
    return begin, begin + length


def _time(der: bytes, at: int) -> datetime:
    begin, end = _content(der, at)
    digits = der[begin:end].decode("ascii", errors="replace").removesuffix("Z")
    if der[at] == UTC_TIME:
        digits = ("19" if digits >= "50" else "20") + digits
    elif der[at] != GENERALIZED_TIME:
        raise ValueError(f"tag {der[at]:#x} where a time should be")
    if len(digits) != 14:
        raise ValueError(f"{digits} is not a time")
    month, day, hour, minute, second = (int(digits[n : n + 2]) for n in range(4, 14, 2))
    return datetime(int(digits[:4]), month, day, hour, minute, second, tzinfo=UTC)
