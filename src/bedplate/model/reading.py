"""Bytes at places, wherever they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class ReadAt(Protocol):
    """Something of a known size, in bytes, that can be read anywhere."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on; fewer at the end."""
        ...


@dataclass(frozen=True, slots=True)
class InMemory:
    """Bytes that are all there."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read_at(self, offset: int, size: int) -> bytes:
        return self.data[offset : offset + size]
