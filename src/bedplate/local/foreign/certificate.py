"""Reads what the certificate of a server names."""

from __future__ import annotations

import socket
import ssl
from typing import cast

from bedplate.model.errors import PeerError

SECONDS = 10.0


def certified_names(host: str, port: int, *, authority: bytes, server_name: str) -> tuple[str, ...]:
    """The DNS names, then the addresses of the certificate shown at `host`; `authority` (PEM) must have signed it.

    `server_name` is what we say that we came for. Raises `PeerError` when no such certificate is shown.
    """
    context = ssl.create_default_context(cadata=authority.decode())
    # Whom it names is the question here; the signature is verified all the same.
    context.check_hostname = False
    try:
        with (
            socket.create_connection((host, port), SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=server_name) as connection,
        ):
            shown = connection.getpeercert() or {}
    except OSError as problem:
        raise PeerError(f"{host}:{port} shows no certificate to be trusted.", details=str(problem)) from problem
    named = cast("tuple[tuple[str, str], ...]", shown.get("subjectAltName", ()))
    return tuple(value for kind in ("DNS", "IP Address") for found, value in named if found == kind)
