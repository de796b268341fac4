"""Who signed a PE file: the certificates beside its signature (Microsoft, Windows Authenticode PE Signature Format).

Nothing is verified here; the firmware does that, at a time when no other version can be taken any more. What a node can
see before is whether the firmware knows the signer: it is the one of what runs.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterable

from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from bedplate.model.digests import Sha256, sha256
from bedplate.model.errors import PeerError
from bedplate.model.reading import ReadAt

HEAD_BYTES = 4096
PE32_PLUS = 0x20B
SECURITY = 4
"""The number of the data directory that names the certificate table; it alone has a place in the file."""
PKCS7 = 2
MOST_BYTES = 1 << 20


class SignedByAnother(PeerError):
    """The firmware would refuse to start it."""


def table_of(head: bytes) -> tuple[int, int]:
    """Place and size of the certificate table of a PE file that begins so; zeros where there is none."""
    try:
        (pe,) = struct.unpack_from("<I", head, 60)
        (magic,) = struct.unpack_from("<H", head, pe + 24)
        directories = pe + 24 + (112 if magic == PE32_PLUS else 96)
        place, size = struct.unpack_from("<II", head, directories + 8 * SECURITY)
    except struct.error:
        return 0, 0
    return (place, size) if size <= MOST_BYTES else (0, 0)


def signers_in(table: bytes) -> frozenset[Sha256]:
    """The digests of the certificates in the first signature; none for what is no signature."""
    try:
        length, _, kind = struct.unpack_from("<IHH", table)
        found = pkcs7.load_der_pkcs7_certificates(table[8:length]) if kind == PKCS7 else []
    except (struct.error, ValueError):
        return frozenset()
    return frozenset(sha256(each.public_bytes(Encoding.DER)) for each in found)


def signers_of(file: ReadAt) -> frozenset[Sha256]:
    """The same of a file that can be read at any place."""
    place, size = table_of(file.read_at(0, HEAD_BYTES))
    return signers_in(file.read_at(place, size)) if size else frozenset()


def signed_alike(chunks: Iterable[bytes], ours: frozenset[Sha256]) -> Generator[bytes, None, None]:
    """The chunks of a PE file, as they come; after the last, `SignedByAnother` unless one of `ours` signed it."""
    at, place, size, table = 0, 0, 0, bytearray()
    for chunk in chunks:
        if at == 0:
            place, size = table_of(chunk[:HEAD_BYTES])
        table += chunk[max(place - at, 0) : max(place + size - at, 0)]
        at += len(chunk)
        yield chunk
    found = signers_in(bytes(table))
    if ours and not found & ours:
        raise SignedByAnother(
            "The UKI is signed by another than the one that runs, so the firmware would not start it.",
            details=f"signer {', '.join(sorted(found)) or 'nobody'}, running {', '.join(sorted(ours))}",
            resolution="Whoever publishes this release has to sign its image with the key that these machines trust.",
        )
