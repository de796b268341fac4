"""A limit on bytes a second, on average since the first."""

from __future__ import annotations

from dataclasses import dataclass

from bedplate.host.clock import Clock

BURST_SECONDS = 1.0


@dataclass(slots=True)
class Rate:
    """`spend` waits so that no second brings more than `rate` bytes on average; 0 is no limit."""

    rate: int
    clock: Clock
    free_at: float = 0.0
    """When what was spent so far is paid for."""

    def spend(self, count: int) -> None:
        if not self.rate:
            return
        now = self.clock.monotonic()
        self.free_at = max(self.free_at, now - BURST_SECONDS) + count / self.rate
        if self.free_at > now:
            self.clock.sleep(self.free_at - now)
