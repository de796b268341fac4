"""The list of host packages reads as the script reads it."""

from __future__ import annotations

import re
from pathlib import Path

LINES = (Path(__file__).parents[2] / "os" / "packages-host.txt").read_text().splitlines()
ENTRIES = [line for line in LINES if not line.startswith("#")]


def test_every_package_has_its_reason() -> None:
    assert [line for line in ENTRIES if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+ +# \S.*", line)] == []


def test_no_package_is_named_twice() -> None:
    names = [line.split()[0] for line in ENTRIES]
    assert len(names) == len(set(names))
