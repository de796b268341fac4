"""What holds for all tests: a bare `pytest` boots no machine."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what boots a machine unless `-m` chooses; it takes minutes and needs QEMU."""
    if config.option.markexpr:
        return
    boots = [item for item in items if item.get_closest_marker("vm")]
    if boots:
        config.hook.pytest_deselected(items=boots)
        items[:] = [item for item in items if item not in boots]
