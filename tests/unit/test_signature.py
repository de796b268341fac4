"""A UKI is taken when the signer of the running one signed it, and whatever is none is no reason to guess."""

from __future__ import annotations

import struct
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import NameOID

from bedplate.model.digests import Sha256, sha256
from bedplate.model.reading import InMemory
from bedplate.testing.clock import START
from bedplate.wire.signature import SignedByAnother, signed_alike, signers_of


def certificate(serial: int) -> x509.Certificate:
    """Alike in name, as an attacker would choose."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), serial)
    return builder.not_valid_before(START).not_valid_after(START + timedelta(days=1)).sign(key, hashes.SHA256())


def signed(certificate: x509.Certificate, *, body: bytes = b"kernel" * 3000) -> bytes:
    """A file as far as its certificate table: PE header, body, the table at the end."""
    der = pkcs7.serialize_certificates([certificate], Encoding.DER)
    table = struct.pack("<IHH", 8 + len(der), 0x200, 2) + der
    head = bytearray(512)
    struct.pack_into("<I", head, 60, 128)
    struct.pack_into("<H", head, 128 + 24, 0x20B)
    struct.pack_into("<II", head, 128 + 24 + 112 + 8 * 4, len(head) + len(body), len(table))
    return bytes(head) + body + table


OURS, OTHER = certificate(1), certificate(2)
KNOWN = frozenset({sha256(OURS.public_bytes(Encoding.DER))})


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def test_the_signer_of_a_file_is_found() -> None:
    assert signers_of(InMemory(signed(OURS))) == KNOWN


@pytest.mark.parametrize("data", [b"", b"MZ", b"MZ" + bytes(600), signed(OURS)[:700]])
def test_what_is_not_signed_has_no_signer(data: bytes) -> None:
    assert signers_of(InMemory(data)) == frozenset()


@pytest.mark.parametrize("size", [4096, 5000, 1 << 20])
def test_a_file_of_the_same_signer_passes_as_it_is(size: int) -> None:
    data = signed(OURS)
    assert b"".join(signed_alike(pieces(data, size), KNOWN)) == data


@pytest.mark.parametrize("data", [signed(OTHER), signed(OURS)[:-100], bytes(10_000)])
def test_a_file_of_another_signer_is_refused_after_its_last_piece(data: bytes) -> None:
    taken = []
    with pytest.raises(SignedByAnother, match="the firmware would not start it"):
        taken.extend(signed_alike(pieces(data, 4096), KNOWN))


def test_where_what_runs_is_not_signed_nothing_is_asked() -> None:
    assert b"".join(signed_alike([b"anything"], frozenset[Sha256]())) == b"anything"
