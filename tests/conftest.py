"""What holds for all tests: a bare `pytest` boots no machine, and `--record` keeps a full run."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from bedplate.cli.context import places
from bedplate.host.clock import SystemClock
from bedplate.host.run import SystemRunner
from tests.full_run import ROOT, TESTS, Progress, digest_for, digest_of


@dataclass(slots=True)
class Run:
    """A run that is to be recorded: of `wanted` tests, for the files with `digest`. `took` is seconds by test."""

    digest: str = field(default_factory=lambda: digest_of(ROOT))
    progress: Progress = field(
        default_factory=lambda: Progress(places().state / "full-run", lambda tests: digest_for(ROOT, tests))
    )
    wanted: tuple[str, ...] = ()
    took: dict[str, float] = field(default_factory=dict)
    recorded: bool = False

    def missing(self) -> list[str]:
        return [test for test in self.wanted if self.progress.seconds(test) is None]


RUN: pytest.StashKey[Run] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="with -m vm: leave out what has passed, keep what passes")


def pytest_configure(config: pytest.Config) -> None:
    """Look at the files before the first test runs: what they are later may be another state."""
    if config.option.record:
        if config.args != [TESTS] or config.option.markexpr != "vm" or config.option.keyword:
            raise pytest.UsageError(f"A full run is recorded by `pytest -m vm --record {TESTS}`, of all tests there.")
        config.stash[RUN] = Run()
        # Ended by somebody, a run stops its machines, as after Ctrl-C: they would run on beside those of the next.
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what boots a machine unless `-m` chooses; it takes minutes and needs QEMU."""
    boots = [item for item in items if item.get_closest_marker("vm")]
    if run := config.stash.get(RUN, None):
        run.wanted = tuple(item.nodeid for item in boots)
        missing = set(run.missing())
        files = {item.path for item in boots if item.nodeid in missing and item.get_closest_marker("in_order")}
        passed = [item for item in boots if item.nodeid not in missing and item.path not in files]
        _leave_out(config, items, passed)
    elif not config.option.markexpr:
        _leave_out(config, items, boots)


def _leave_out(config: pytest.Config, items: list[pytest.Item], out: list[pytest.Item]) -> None:
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A test has passed once what it used was in order at its end too: a machine in trouble shows only then."""
    report = yield
    if (run := item.config.stash.get(RUN, None)) and report.passed:
        if report.when == "call":
            run.took[item.nodeid] = report.duration
        elif report.when == "teardown" and item.nodeid in run.took:
            run.progress.passes(item.nodeid, run.took[item.nodeid])
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    if run := session.config.stash.get(RUN, None):
        commit = SystemRunner().run(["git", "rev-parse", "HEAD"], cwd=ROOT).text.strip()
        run.recorded = run.progress.record(run.wanted, digest=run.digest, commit=commit, now=SystemClock().now())
        if run.recorded and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if run := config.stash.get(RUN, None):
        left = run.missing()
        said = "The full run is recorded." if run.recorded else f"Not recorded: {len(left)} tests have yet to pass."
        terminalreporter.write_line(said)
