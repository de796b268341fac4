"""The pools of a cluster as files, one each, in the words of the API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from bedplate.host.files import write_atomically
from bedplate.model.errors import OurError, UserError
from bedplate.model.pools import NodePool, require_sound


def read_pools(folder: Path) -> tuple[NodePool, ...]:
    """The pools kept in `folder`, by name. Raises `OurError` for a file that cannot be read."""
    return tuple(_read(path) for path in sorted(folder.glob("*.json")))


def find_pool(folder: Path, name: str) -> NodePool:
    """Raises `UserError` when there is no such pool."""
    for pool in read_pools(folder):
        if pool.name == name:
            return pool
    raise UserError(f"There is no node pool {name}.", resolution="List them with `bedplate nodepool list`.")


def write_pool(folder: Path, pool: NodePool) -> None:
    """Keep the pool, if it is sound; `UserError` with all that is wrong if it is not."""
    text = msgspec.json.format(msgspec.json.encode(require_sound(pool)), indent=2)
    write_atomically(folder / f"{pool.name}.json", text + b"\n")


def replace_pool(folder: Path, pool: NodePool) -> Callable[[], None]:
    """Keep the pool as `write_pool` does. Calling what comes back makes that undone."""
    before = [each for each in read_pools(folder) if each.name == pool.name]
    write_pool(folder, pool)
    if before:
        return lambda: write_pool(folder, before[0])
    return lambda: remove_pool(folder, pool.name)


def remove_pool(folder: Path, name: str) -> None:
    (folder / f"{find_pool(folder, name).name}.json").unlink()


def _read(path: Path) -> NodePool:
    try:
        return msgspec.json.decode(path.read_bytes(), type=NodePool)
    except msgspec.MsgspecError as problem:
        raise OurError(
            f"{path} is not a node pool.",
            details=str(problem),
            resolution="Remove that file, and with the next change its nodes go too; or correct it.",
        ) from problem
