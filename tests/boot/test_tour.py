"""The tour shows what the commands really say, and leaves the pools as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bedplate.testing.home import free_port, home_with_our_keys

pytestmark = pytest.mark.vm


def test_the_tour_shows_real_output_and_leaves_no_pool(tmp_path: Path) -> None:
    home = home_with_our_keys(tmp_path / "state")
    try:
        home.bedplate("cluster", "up", f"--api-port={free_port()}", f"--registry-port={free_port()}")
        said = home.bedplate("tour", f"--record={tmp_path / 'tour.svg'}")
        for shown in ("Programs:", "read-only file system", "no such file", "Running", "burst"):
            assert shown in said
        pools = json.loads(home.bedplate("nodepool", "list", "--output=json"))
        assert [pool["name"] for pool in pools] == ["system"]
        assert (tmp_path / "tour.svg").read_bytes().startswith(b"<svg")
    finally:
        home.bedplate("cluster", "down", "--all")
