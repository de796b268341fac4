"""Programs that are run to their end, and what is told when they do not come to a good one."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from bedplate.host.clock import SystemClock, wait_until
from bedplate.host.run import ProgramFailed, SystemRunner, start
from bedplate.model.errors import MachineError

RUNNER, CLOCK = SystemRunner(), SystemClock()
KEEPER = """
import sys
from pathlib import Path
from bedplate.host.run import SystemRunner
SystemRunner().run(["sh", "-c", "echo $$; exec sleep 1000"], log=Path(sys.argv[1]))
"""


def test_a_failure_holds_the_command_and_what_it_said() -> None:
    with pytest.raises(ProgramFailed) as caught:
        RUNNER.run(["sh", "-c", "echo wrong >&2; exit 3"])
    assert caught.value.brief == "sh failed with code 3."
    assert caught.value.details.splitlines() == ["$ sh -c 'echo wrong >&2; exit 3'", "wrong"]


@pytest.mark.parametrize("logged", [False, True])
def test_a_missing_program_is_named_with_how_to_get_it(tmp_path: Path, *, logged: bool) -> None:
    with pytest.raises(MachineError, match="no-such-program is not there") as caught:
        RUNNER.run(["no-such-program"], log=tmp_path / "log" if logged else None)
    assert "./dev setup" in caught.value.resolution


@pytest.mark.parametrize(("content", "mode"), [(b"#!/bin/sh\n", 0o644), (b"\x7fELF and then nothing", 0o755)])
def test_a_damaged_program_is_named(tmp_path: Path, content: bytes, mode: int) -> None:
    program = tmp_path / "program"
    program.write_bytes(content)
    program.chmod(mode)
    with pytest.raises(MachineError, match=f"{program} cannot be run"):
        RUNNER.run([program])


def test_that_the_disk_is_full_is_read_from_what_a_program_said() -> None:
    with pytest.raises(ProgramFailed) as caught:
        RUNNER.run(["dd", "if=/dev/zero", "of=/dev/full", "count=1"])
    assert caught.value.for_want_of_space


def test_a_log_has_all_of_it_and_the_failure_its_end(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed) as caught:
        RUNNER.run(["sh", "-c", "seq 100; exit 1"], log=tmp_path / "log")
    assert (tmp_path / "log").read_text().split() == [str(number) for number in range(1, 101)]
    assert caught.value.tail == [str(number) for number in range(76, 101)]


def test_a_program_with_a_log_ends_with_whoever_runs_it_even_when_that_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    keeper = start([sys.executable, "-c", KEEPER, log], log=tmp_path / "keeper.log")
    started = wait_until(lambda: "" if log.exists() and log.read_text() else "no word", CLOCK, seconds=20, every=0.02)
    assert started.missing == "", (tmp_path / "keeper.log").read_text()
    os.kill(keeper, signal.SIGKILL)
    os.waitpid(keeper, 0)
    status = Path("/proc") / log.read_text().strip() / "stat"

    def alive() -> str:
        try:
            state = status.read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return "" if state in "ZX" else f"it is in state {state}"

    assert wait_until(alive, CLOCK, seconds=10, every=0.02).missing == ""
