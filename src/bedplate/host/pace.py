"""How long servers may take, and how fast we may: limits on time for what `bedplate.host.http` does."""

from __future__ import annotations

from dataclasses import dataclass

from bedplate.host.clock import Clock


@dataclass(frozen=True, slots=True)
class Limits:
    """What is borne. The head of an answer has `head_seconds` in all, each silence `silence_seconds`.

    A body has to bring `floor_bytes` a second on average of every `floor_seconds` that we wait for it.
    """

    connect_seconds: float = 10.0
    silence_seconds: float = 20.0
    head_seconds: float = 30.0
    floor_bytes: int = 1024
    floor_seconds: float = 30.0
    redirects: int = 3


PATIENT = Limits()
"""What suits a slow line: a release at the floor would take days, but it would arrive."""


class Floor:
    """Whether bytes come fast enough, by the time that was spent waiting for them alone."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes, self._seconds = 0, 0.0

    def holds(self, count: int, seconds: float) -> bool:
        """Count a piece that was waited for; `False` once a whole span of time brought too little."""
        self._bytes, self._seconds = self._bytes + count, self._seconds + seconds
        if self._seconds < self._limits.floor_seconds:
            return True
        enough = self._bytes >= self._limits.floor_bytes * self._seconds
        self._bytes, self._seconds = 0, 0.0
        return enough


class RateLimit:
    """For `SystemHttp(limit=…)`: waits so that no more than so many bytes a second are taken on average."""

    def __init__(self, bytes_per_second: int, clock: Clock) -> None:
        self._rate, self._clock = bytes_per_second, clock
        self._free_at = 0.0

    def __call__(self, count: int) -> None:
        now = self._clock.monotonic()
        self._free_at = max(now, self._free_at) + count / self._rate
        self._clock.sleep(self._free_at - now)
