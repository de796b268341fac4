"""The publisher's side of the three streams: commands go in, a delta comes out."""

from __future__ import annotations

import lzma
from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO

from bedplate.release.payload.delta.find import Edit
from bedplate.release.payload.delta.format import STREAM_WINDOW, Command, Head, Segment, encode_command, write_head
from bedplate.release.payload.delta.rebuild import any_set

FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": STREAM_WINDOW}]
SLICE = 1 << 20


class Packed:
    """A stream that is compressed as it grows."""

    def __init__(self) -> None:
        self._packer = lzma.LZMACompressor(lzma.FORMAT_XZ, check=lzma.CHECK_NONE, filters=FILTERS)
        self._pieces: list[bytes] = []

    def put(self, data: bytes) -> None:
        self._pieces.append(self._packer.compress(data))

    def end(self) -> bytes:
        self._pieces.append(self._packer.flush())
        return b"".join(self._pieces)


class Script:
    """Commands in the order of the part; those that go on where the last one ended become one."""

    def __init__(self) -> None:
        self._control, self._diff, self._extra = Packed(), Packed(), Packed()
        self._place = 0
        self._open: tuple[Command, int] | None = None
        self.commands = 0

    def copy(self, place: int, size: int) -> None:
        """`size` bytes of the base as they are."""
        self._say(Command.COPY, size, place)

    def edit(self, edit: Edit) -> None:
        if edit.place is None:
            self._say(Command.NEW, len(edit.data), self._place)
            self._extra.put(edit.data)
        elif any_set(edit.data):
            self._say(Command.ADD, len(edit.data), edit.place)
            self._diff.put(edit.data)
        else:
            self.copy(edit.place, len(edit.data))

    def _say(self, command: Command, size: int, place: int) -> None:
        if not size:
            return
        if self._open and self._open[0] is command and place == self._place:
            self._open = command, self._open[1] + size
        else:
            self._close()
            if place != self._place:
                self._write(Command.SEEK, place - self._place)
            self._open = command, size
        self._place = place + (size if command is not Command.NEW else 0)

    def _close(self) -> None:
        if self._open:
            self._write(*self._open)
            self._open = None

    def _write(self, command: Command, amount: int) -> None:
        self.commands += 1
        self._control.put(encode_command(command, amount))

    def write(self, sink: BinaryIO, *, base: Sequence[Segment], part: Sequence[Segment], beside: int = 0) -> None:
        """The delta with all that was said."""
        self._close()
        streams = [stream.end() for stream in (self._control, self._diff, self._extra)]
        control, diff, extra = map(len, streams)
        sink.write(write_head(Head(tuple(base), tuple(part), (control, diff, extra), beside)))
        sink.writelines(streams)


class Feed:
    """Edits given out again in counted bytes."""

    def __init__(self, edits: Iterable[Edit]) -> None:
        self._edits = iter(edits)
        self._held: Edit | None = None

    def take(self, size: int, put: Callable[[Edit], None]) -> None:
        """Hand on what makes the next `size` bytes."""
        while size:
            edit = self._held or next(self._edits)
            self._held = None
            if len(edit.data) > size:
                edit, self._held = edit.cut(size)
            size -= len(edit.data)
            put(edit)
