"""The publisher that tests of publishing begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.release.publisher import Publisher


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(tmp_path)
