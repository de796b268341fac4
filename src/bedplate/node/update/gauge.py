"""How far the taking of a part has come, told now and then to whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass

from bedplate.host.clock import Clock
from bedplate.wire.release import Part

SECONDS = 5.0
"""Between two tellings, at least: each is a request to the API server."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """`tell` gets words such as "45 % of 317 MB, 3.4 MB/s, 51 s left"."""

    clock: Clock
    tell: Callable[[str], None]

    def passing(self, part: Part, chunks: Iterable[bytes], *, first: int) -> Generator[bytes, None, None]:
        """The chunks of a part from number `first` on, each counted when the next is asked for: then it is written."""
        began = told = self.clock.monotonic()
        before = done = sum(part.chunk_size(index) for index in range(first))
        for chunk in chunks:
            yield chunk
            done += len(chunk)
            now = self.clock.monotonic()
            if now - told >= SECONDS:
                told = now
                self.tell(how_far(done, part.size, (done - before) / (now - began)))


def how_far(done: int, size: int, rate: float) -> str:
    """`done` of `size` bytes, at `rate` bytes a second, in words."""
    left = (size - done) / rate
    return f"{100 * done // size} % of {size / 1e6:.0f} MB, {rate / 1e6:.1f} MB/s, {left:.0f} s left"
