"""What a machine wrote to its serial console, and what in it no test should see. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][A-Z0-9]|[A-Z=>])|\r|\x00")
"""Terminal control sequences (ECMA-48 5.4), which firmware and systemd write to a console."""

END_LINES = 40


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that a sound machine never writes: words for people, and how to recognise a line of it."""

    name: str
    pattern: re.Pattern[str]


def _trouble(name: str, pattern: str) -> Trouble:
    return Trouble(name, re.compile(pattern))


TROUBLES = (
    _trouble("firmware refusal", r"Security Violation|Access Denied|BdsDxe: failed to (load|start)"),
    _trouble("kernel panic", r"Kernel panic - not syncing"),
    _trouble("kernel oops", r"\bOops: |BUG: |general protection fault|unable to handle (kernel|page)"),
    _trouble("kernel warning", r"WARNING: CPU: \d+ PID: \d+|INFO: task .* blocked for more than|soft lockup"),
    _trouble("program crash", r"segfault at |trap invalid opcode|dumped core|code=dumped"),
    _trouble("out of memory", r"Out of memory: Kill|invoked oom-killer"),
    _trouble("verity corruption", r"device-mapper: verity: .*(is corrupted|corruption)"),
    _trouble("verity refusal", r"device-mapper: (table|ioctl): .*(verity|error)|[Rr]oot hash signature"),
    _trouble("file system error", r"(EXT4-fs|erofs).*\berror\b|I/O error|Remounting filesystem read-only"),
    _trouble("unsigned module", r"Loading of .*module.* is (rejected|restricted)|module verification failed"),
    _trouble("failed unit", r"\[FAILED\]|Failed with result '|\[ TIME \]"),
    _trouble("failed dependency", r"\[DEPEND\]"),
    _trouble("emergency", r"emergency (mode|shell)|Reached target emergency|Say what failed and start again"),
)
"""Looked for in every line. A test that provokes one announces it by its name."""


def names() -> frozenset[str]:
    return frozenset(trouble.name for trouble in TROUBLES)


def clean(raw: bytes) -> str:
    """The text as people read it: without control sequences."""
    return ESCAPES.sub("", raw.decode(errors="replace"))


def find_trouble(text: str, *, announced: Collection[str] = ()) -> str:
    """The first trouble in `text` as "name: line", or nothing. Those that were announced do not count."""
    looked_for = [trouble for trouble in TROUBLES if trouble.name not in announced]
    for line in text.splitlines():
        for trouble in looked_for:
            if trouble.pattern.search(line):
                return f"{trouble.name}: {line.strip()}"
    return ""


def find(text: str, wanted: str | re.Pattern[str]) -> re.Match[str] | None:
    """Where `wanted` is: a string as it stands, or a pattern in whose class the test writes it."""
    pattern = re.compile(re.escape(wanted)) if isinstance(wanted, str) else wanted
    return pattern.search(text)


def end(text: str, *, lines: int = END_LINES) -> str:
    """The last lines that say something."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:]) or "The console is empty."
