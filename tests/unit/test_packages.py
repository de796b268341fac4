"""The lists of host packages read as the script reads them, and Python's packages need nothing that is not on it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTS = ("os/packages-host.txt", "bench/packages-update.txt")
ENTRIES = [line for name in LISTS for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]


def test_every_package_has_its_reason() -> None:
    assert [line for line in ENTRIES if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+ +# \S.*", line)] == []


def test_no_package_is_named_twice() -> None:
    names = [line.split()[0] for line in ENTRIES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("python", ["cp311", "cp313"])
def test_every_python_package_comes_built_for_debian_12_and_13(python: str) -> None:
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    wheels = {each["name"]: [wheel["url"] for wheel in each.get("wheels", [])] for each in locked}
    missing = [name for name, urls in wheels.items() if not any(fits(url, python) for url in urls)]
    assert missing == ["bedplate"]


def fits(url: str, python: str) -> bool:
    """Whether a wheel (PEP 427) is for this Python on an x86-64 machine with glibc."""
    _, _, *tags = url.rpartition("/")[2].removesuffix(".whl").split("-")
    *_, language, interface, platform = tags
    runs_anywhere = platform == "any" or ("manylinux" in platform and "x86_64" in platform)
    return runs_anywhere and (interface in {python, "abi3"} or (interface == "none" and "py3" in language))
