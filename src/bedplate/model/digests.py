"""Digests as their own type, so that a name is never taken for one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NewType

Sha256 = NewType("Sha256", str)
"""64 lower-case hexadecimal digits (FIPS 180-4)."""
SHA256_BYTES = 32


def sha256(data: bytes) -> Sha256:
    return Sha256(hashlib.sha256(data).hexdigest())


def sha256_of_parts(parts: Iterable[tuple[str, str]]) -> Sha256:
    """The digest of named values, independent of their order and safe against names that run together."""
    digest = hashlib.sha256()
    for name, value in sorted(parts):
        for text in (name, value):
            data = text.encode()
            digest.update(len(data).to_bytes(8, "big"))
            digest.update(data)
    return Sha256(digest.hexdigest())
