"""What the boot before this one wrote last: the kernel's own words where it died, else the end of its log."""

from __future__ import annotations

from pathlib import Path

from bedplate.host.run import Runner
from bedplate.model.errors import BedplateError

PSTORE = "var/lib/systemd/pstore"
LINES = 30
MOST_BYTES = 64 << 10


def last_words(root: Path, runner: Runner, *, since: float) -> tuple[str, ...]:
    """Up to `LINES` lines. What systemd-pstore saved counts when it is newer than `since` (seconds of the epoch)."""
    return _of_kernel(root / PSTORE, since) or _of_log(runner)


def _of_kernel(folder: Path, since: float) -> tuple[str, ...]:
    found = [path for path in folder.rglob("dmesg*") if path.is_file() and path.stat().st_mtime >= since]
    if not found:
        return ()
    newest = max(found, key=lambda path: (path.stat().st_mtime, path.name == "dmesg.txt"))
    with newest.open("rb") as opened:
        text = opened.read(MOST_BYTES).decode(errors="replace")
    return tuple(line for line in text.splitlines() if line.strip())[-LINES:]


def _of_log(runner: Runner) -> tuple[str, ...]:
    argv = ["journalctl", "--boot=-1", f"--lines={LINES}", "--output=short-monotonic", "--no-hostname", "--quiet"]
    try:
        return tuple(runner.run(argv, seconds=30).text.splitlines())
    except BedplateError:  # no log of that boot came to the disk
        return ()
