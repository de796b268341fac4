"""The agent's memory on disk: whole or not there, and a damaged one is told of, never guessed from."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bedplate.host.files import write_atomically
from bedplate.node.update.memory import Memory

FOLDER = "var/lib/bedplate/update"
FILE = "memory.json"
MOST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """The file in `folder`. Its writer holds the agent's lock."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / FILE

    def read(self) -> tuple[Memory, str]:
        """The memory, empty where there is none; the second value is why what is there cannot be used.

        A damaged file is put aside, as evidence. What runs and what the ESP holds then tell the rest; until that is
        written, the damage is told again.
        """
        try:
            with self.path.open("rb") as opened:
                return msgspec.json.decode(opened.read(MOST_BYTES), type=Memory), ""
        except FileNotFoundError:
            lost = f"{self.path.name} could not be read before" if self._aside.exists() else ""
            return Memory(), lost
        except (OSError, ValueError) as problem:
            why = " ".join(str(problem).split())
            with suppress(OSError):  # what cannot even be moved is read, and told, again
                self.path.replace(self._aside)
            return Memory(), f"{self.path.name} could not be read ({why})"

    @property
    def _aside(self) -> Path:
        return self.path.with_suffix(".damaged")

    def write(self, memory: Memory) -> None:
        """Raises `MachineError` when the disk is full; then the old content stays."""
        write_atomically(self.path, msgspec.json.format(msgspec.json.encode(memory), indent=1), mode=0o600)
