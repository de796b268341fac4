"""What is left to pods of the state disk, where their images, volumes and logs are beside the agent's files."""

from __future__ import annotations

from bedplate.model.errors import MachineError

LEFT_ON_DISK = 512 << 20
"""Bytes that have to stay free."""


def require_room(size: int, free: int) -> None:
    """Raises `MachineError` where `size` further bytes leave pods too little of the `free` ones."""
    if size > 0 and free < size + LEFT_ON_DISK:
        raise MachineError(f"{size} bytes are to come, {LEFT_ON_DISK} have to stay free, and {free} are.")
