"""Sockets: Unix ones under paths of any length, and listening ones of this computer alone."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bedplate.model.errors import MachineError

LOOPBACK = "127.0.0.1"


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name of `path` that fits the 108 bytes of sun_path, however deep its folder lies (unix(7))."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def connect_unix(path: Path, *, seconds: float) -> socket.socket:
    """A connection whose every operation is limited to `seconds`.

    Raises `FileNotFoundError` or `ConnectionRefusedError` when nobody listens.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(seconds)
    try:
        with _short(path) as name:
            connection.connect(name)
    except BaseException:
        connection.close()
        raise
    return connection


def listen_unix(path: Path) -> socket.socket:
    """A listening socket that only this user may connect to. What lies at `path` is replaced."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        with _short(path) as name:
            listener.bind(name)
        path.chmod(0o600)
        listener.listen()
    except BaseException:
        listener.close()
        raise
    return listener


def listen_tcp(port: int) -> socket.socket:
    """A listening socket on the loopback address. Raises `MachineError` when the port is taken."""
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError as problem:
        taken = problem.errno == errno.EADDRINUSE
        raise MachineError(
            f"Port {port} of {LOOPBACK} is taken." if taken else f"Port {port} cannot be opened.",
            details=str(problem),
            resolution=f"See who has it with `ss -ltnp 'sport = :{port}'` and end it, or choose another.",
        ) from problem
