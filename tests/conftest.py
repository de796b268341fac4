"""What holds for all tests: a bare `pytest` boots no machine, and `--record` keeps a full run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bedplate.cli.context import places
from bedplate.host.clock import SystemClock
from bedplate.host.run import SystemRunner
from tests.full_run import ROOT, Progress, digest_of

PROGRESS: pytest.StashKey[Progress] = pytest.StashKey()
WANTED: pytest.StashKey[list[str]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="with -m vm: leave out what has passed, keep what passes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what boots a machine unless `-m` chooses; it takes minutes and needs QEMU."""
    if config.option.markexpr:
        if config.option.record:
            _leave_out_what_has_passed(config, items)
        return
    _leave_out(config, items, [item for item in items if item.get_closest_marker("vm")])


def _leave_out_what_has_passed(config: pytest.Config, items: list[pytest.Item]) -> None:
    progress = Progress(places().state / "full-run", digest_of(ROOT))
    boots = [item for item in items if item.get_closest_marker("vm")]
    config.stash[PROGRESS], config.stash[WANTED] = progress, [item.nodeid for item in boots]
    _leave_out(config, items, [item for item in boots if item.nodeid in progress.passed])


def _leave_out(config: pytest.Config, items: list[pytest.Item], out: list[pytest.Item]) -> None:
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    progress = item.config.stash.get(PROGRESS, None)
    if progress is not None and report.when == "call" and report.passed:
        progress.passes(item.nodeid, report.duration)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    progress = session.config.stash.get(PROGRESS, None)
    if progress is not None:
        commit = SystemRunner().run(["git", "rev-parse", "HEAD"], cwd=ROOT).text.strip()
        progress.record(session.config.stash[WANTED], commit=commit, now=SystemClock().now())
