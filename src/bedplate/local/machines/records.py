"""What is written down of each machine: one folder, `machine.json` in it, secrets beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bedplate.model.errors import OurError

RECORD = "machine.json"


class MachineRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A machine's order without its secrets: `credentials` are names of files in its folder."""

    number: int
    name: str
    pool: str
    image: str
    memory_mb: int
    cpus: int
    credentials: tuple[str, ...]
    usb: bool = False


def encode(record: MachineRecord) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def read_all(folder: Path) -> Sequence[MachineRecord]:
    """The machines kept in `folder`, by number. Raises `OurError` for a record that cannot be read."""
    records = [_read(path) for path in folder.glob(f"[!.]*/{RECORD}")] if folder.is_dir() else []
    return sorted(records, key=lambda record: record.number)


def _read(path: Path) -> MachineRecord:
    try:
        return msgspec.json.decode(path.read_bytes(), type=MachineRecord)
    except msgspec.MsgspecError as problem:
        raise OurError(f"{path} is not the record of a machine.", details=str(problem)) from problem
