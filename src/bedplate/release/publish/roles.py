"""The roles of a repository as data: how many keys each begins with, how many must sign, how long a signature lasts."""

from __future__ import annotations

from dataclasses import dataclass

from bedplate.release.trust.layout import CHANNEL_PATTERNS, CHANNELS, RELEASE_PATTERN, RELEASES

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = "root", "targets", "snapshot", "timestamp"


@dataclass(frozen=True, slots=True)
class Rule:
    """`days` is how long what the role signs is valid; `task` says what it is there for."""

    keys: int
    threshold: int
    days: int
    task: str


RULES = {
    ROOT: Rule(3, 2, 365, "names the keys of all others; its own keys belong offline"),
    TARGETS: Rule(1, 1, 365, "says who signs releases and who signs channels; belongs offline"),
    RELEASES: Rule(1, 1, 365, "signs each version's own metadata; where images are made"),
    CHANNELS: Rule(1, 1, 365, "signs where channels point and what is withdrawn; whoever promotes"),
    SNAPSHOT: Rule(1, 1, 30, "signs which metadata belong together; used with every change"),
    TIMESTAMP: Rule(1, 1, 7, "signs that this is the newest; has to be used all the time"),
}
PATTERNS = {RELEASES: (RELEASE_PATTERN,), CHANNELS: CHANNEL_PATTERNS}
"""What the top-level targets delegate, and to whom. A version's own role stands below `releases`."""
OF_THE_ROOT = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)
EXPIRES_SOON = 0.3
"""Less than this part of its time left is worth a warning."""
