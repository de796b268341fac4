"""Where Bedplate keeps things on this machine (XDG Base Directory Specification 0.8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bedplate.model.errors import MachineError


@dataclass(frozen=True, slots=True)
class Places:
    """`cache` holds what can be made again, keyed by content; `state` holds clusters, keys and machines."""

    cache: Path
    state: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Places:
        home = environment.get("HOME", "")
        if not home:
            raise MachineError("HOME is not set.", resolution="Set HOME to a folder that you may write to.")
        cache = environment.get("XDG_CACHE_HOME") or f"{home}/.cache"
        state = environment.get("XDG_STATE_HOME") or f"{home}/.local/state"
        return cls(cache=Path(cache) / "bedplate", state=Path(state) / "bedplate")
