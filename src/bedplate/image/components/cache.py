"""What has been built before: cache/components/NAME/KEY/bin/TOOL beside a receipt.json that vouches for it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bedplate.host.files import file_sha256, write_atomically
from bedplate.image.components.catalogue import Component
from bedplate.image.components.state import Binary, Entry, Receipt, State

RECEIPT = "receipt.json"


def entry_path(cache: Path, component: Component, key: str) -> Path:
    return cache / "components" / component.name / key


def examine(cache: Path, component: Component, key: str, *, thorough: bool = False) -> Entry:
    """Look up one build. A file whose size and times are as recorded is believed, unless `thorough`.

    The time of the last change of its inode cannot be set by hand (inode(7)), so a file that was altered
    or copied since is read and compared with its digest.
    """
    path = entry_path(cache, component, key)
    if not path.is_dir():
        return Entry(State.MISSING, path, previous=_latest(path.parent))
    receipt = _read(path / RECEIPT)
    if receipt is None or receipt.binaries.keys() != {tool.name for tool in component.tools}:
        return Entry(State.DAMAGED, path, f"{path / RECEIPT} is missing or unreadable")
    for name, binary in receipt.binaries.items():
        problem = _problem(path / "bin" / name, binary, thorough=thorough)
        if problem:
            return Entry(State.DAMAGED, path, problem)
    _renew(path, receipt)
    return Entry(State.WHOLE, path)


def write_receipt(folder: Path, component: Component, *, key: str, toolchain: str, seconds: float) -> None:
    """Vouch for the programs that were just built into `folder`/bin."""
    binaries = {tool.name: _describe(folder / "bin" / tool.name) for tool in component.tools}
    receipt = Receipt(component.name, component.version, toolchain, key, round(seconds, 1), binaries)
    _write(folder, receipt)


def _problem(file: Path, binary: Binary, *, thorough: bool) -> str:
    if not file.is_file():
        return f"{file} is gone"
    if not thorough and _marks(file) == binary.marks():
        return ""
    return "" if file_sha256(file) == binary.sha256 else f"{file} differs from its receipt"


def _renew(path: Path, receipt: Receipt) -> None:
    """After a copy the marks differ though the bytes do not: record the new ones, so that we need not read again."""
    marks = {name: _marks(path / "bin" / name) for name in receipt.binaries}
    if any(marks[name] != binary.marks() for name, binary in receipt.binaries.items()):
        binaries = {name: Binary(binary.sha256, *marks[name]) for name, binary in receipt.binaries.items()}
        _write(path, msgspec.structs.replace(receipt, binaries=binaries))


def _latest(folder: Path) -> Receipt | None:
    files = sorted(folder.glob(f"*/{RECEIPT}"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    return next((receipt for file in files if (receipt := _read(file))), None)


def _read(file: Path) -> Receipt | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Receipt)
    except (OSError, msgspec.DecodeError):
        return None


def _write(folder: Path, receipt: Receipt) -> None:
    text = msgspec.json.format(msgspec.json.encode(receipt), indent=2)
    write_atomically(folder / RECEIPT, text + b"\n")


def _describe(file: Path) -> Binary:
    return Binary(file_sha256(file), *_marks(file))


def _marks(file: Path) -> tuple[int, int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
