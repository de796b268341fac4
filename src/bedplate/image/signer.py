"""What signs an image: a certificate in a file, and the key that belongs to it, wherever that is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

CERTIFICATE = "db.crt"
KEY = "db.key"


class Signer(Protocol):
    """An X.509 certificate and a way to use its private key. They sign loader, UKI and the root hash of /usr."""

    @property
    def certificate(self) -> Path:
        """PEM."""
        ...

    def key_lent_to(self, folder: Path) -> AbstractContextManager[Mapping[str, str]]:
        """What signing programs take for the key, as db.key in `folder`, for as long as the block lasts.

        Gives what their environment has to have besides.
        """
        ...
