"""How a version stands against the releases there are."""

from __future__ import annotations

import pytest

from bedplate.image.components.outdated import judge


@pytest.mark.parametrize(
    ("current", "versions", "patch", "newest"),
    [
        ("v1.37.2", ["v1.36.9", "v1.37.2"], "", ""),
        ("v1.37.2", ["v1.37.10", "v1.37.9", "v1.37.2"], "v1.37.10", "v1.37.10"),
        ("v1.37.2", ["v1.38.0", "v1.37.3"], "v1.37.3", "v1.38.0"),
        ("v1.37.2", ["v1.38.0-rc.1", "v2.0.0+incompatible"], "", ""),
        ("1.26.8", ["1.26.9", "1.27rc1", "1.27.0"], "1.26.9", "1.27.0"),
        ("v1.37.2", [], "", ""),
    ],
    ids=["newest", "patches by number", "minor", "pre-releases", "go itself", "nothing served"],
)
def test_the_newest_of_the_minor_and_of_all(current: str, versions: list[str], patch: str, newest: str) -> None:
    found = judge("ship", "e.dev/ship", current, versions)
    assert (found.patch, found.newest) == (patch, newest)
