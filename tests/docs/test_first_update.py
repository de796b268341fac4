"""The tutorial on updates publishes a version that nodes can be updated to, and from."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from bedplate.host.clock import SystemClock
from bedplate.host.run import SystemRunner
from bedplate.model.versions import ImageVersion
from bedplate.release.publish.plan import require_in_time
from bedplate.release.publish.roles import RULES, TIMESTAMP

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/tutorial/first-update.md").read_text()


def version_of_the_page() -> str:
    """What the reader's shell makes of the page's line today."""
    (line,) = re.findall(r"^VERSION=.*$", PAGE, re.MULTILINE)
    return SystemRunner().run(["bash", "-ec", f"{line}; echo $VERSION"]).text.strip()


def test_its_version_is_newer_than_that_of_this_checkout() -> None:
    ours = f"Bedplate-1.37-amd64-{(ROOT / 'os/version').read_text().strip()}"
    assert ImageVersion.parse(version_of_the_page()) > ImageVersion.parse(ours)


def test_a_node_of_its_version_finds_the_repository_current() -> None:
    expires = SystemClock().now() + timedelta(days=RULES[TIMESTAMP].days)
    require_in_time(version_of_the_page(), until=expires)


def test_the_node_is_asked_for_an_update_again_once_it_runs_that_version() -> None:
    before_going_back = PAGE.partition("bedplate node rollback")[0]
    assert before_going_back.count("bedplate node update system-1") == 2
