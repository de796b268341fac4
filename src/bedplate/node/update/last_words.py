"""What the boot before this one wrote last: the kernel's own words where it died, else the end of its log."""

from __future__ import annotations

import re
from pathlib import Path

from bedplate.host.run import Runner
from bedplate.model.errors import BedplateError
from bedplate.node.update.memory import printable
from bedplate.node.update.status import SHOWN_LINES

PSTORE = "var/lib/systemd/pstore"
LINES = 30
MOST_BYTES = 64 << 10
WHOLE = "dmesg.txt"
"""What systemd-pstore(8) makes of the parts that the kernel left."""
TOGETHER_SECONDS = 10
"""Less than lies between two deaths, by panic=10; what one boot saved was saved within it."""
PANIC = "Kernel panic - "
CAUSE = re.compile(rf"{PANIC}|\bBUG: |\bOops: ")
PART = re.compile(r"(Panic|Oops)#\d+ Part\d+")
BEFORE = 4
"""Lines before the one that names the cause."""


def last_words(root: Path, runner: Runner, *, since: float) -> tuple[str, ...]:
    """Up to `LINES` lines. What systemd-pstore saved counts when it is newer than `since` (seconds of the epoch)."""
    return _of_kernel(root / PSTORE, since) or _of_log(runner)


def _of_kernel(folder: Path, since: float) -> tuple[str, ...]:
    found = {path: path.stat() for path in folder.rglob("dmesg*") if path.is_file()}
    # What systemd-pstore had not got to the disk when the next kernel died is empty.
    times = {path: stat.st_mtime for path, stat in found.items() if stat.st_size and stat.st_mtime >= since}
    if not times:
        return ()
    whole = [path for path in times if path.name == WHOLE] or [max(times, key=times.__getitem__)]
    newest = max(times[path] for path in whole)
    # The kernel writes its last lines first, under the second of the writing: the later folder has the earlier lines.
    together = sorted((path for path in whole if times[path] > newest - TOGETHER_SECONDS), reverse=True)
    return death("\n".join(_text(path) for path in together))


def death(text: str) -> tuple[str, ...]:
    """Of a kernel's log, what it died of: what it names first and the lines after that, else the end of the log.

    Registers and the trace that follow are longer than what is shown, so the end alone would not name it.
    """
    lines = [printable(line) for line in text.splitlines() if line.strip() and not PART.fullmatch(line)]
    named = next((n for n, line in enumerate(lines) if CAUSE.search(line)), None)
    if named is None:
        return tuple(lines[-LINES:])
    begin = max(0, named - BEFORE)
    kept, rest = lines[begin : begin + SHOWN_LINES], lines[begin + SHOWN_LINES :]
    panics = [line for line in rest if PANIC in line]
    return (*kept[:-1], panics[0]) if panics else tuple(kept)


def _text(path: Path) -> str:
    with path.open("rb") as opened:
        return opened.read(MOST_BYTES).decode(errors="replace")


def _of_log(runner: Runner) -> tuple[str, ...]:
    argv = ["journalctl", "--boot=-1", f"--lines={LINES}", "--output=short-monotonic", "--no-hostname", "--quiet"]
    try:
        return tuple(runner.run(argv, seconds=30).text.splitlines())
    except BedplateError:  # no log of that boot came to the disk
        return ()
