"""Programs that run side by side end with whoever started them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bedplate.host.clock import SystemClock, wait_until
from bedplate.host.jobs import SystemJobs
from bedplate.host.run import Completed, ProgramFailed
from bedplate.model.errors import MachineError


async def run(folder: Path, *argv: str, on_line: Callable[[str], None] = lambda _: None) -> Completed:
    return await SystemJobs().run(argv, cwd=folder, env={}, log=folder / "log/out", on_line=on_line)


def test_each_line_is_told_and_logged(tmp_path: Path) -> None:
    lines: list[str] = []
    done = asyncio.run(run(tmp_path, "sh", "-c", "echo one; echo two >&2", on_line=lines.append))
    assert lines == ["one", "two"]
    assert (tmp_path / "log/out").read_text() == "one\ntwo\n"
    assert done.text == "one\ntwo"


def test_a_failure_holds_the_last_lines(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed) as error:
        asyncio.run(run(tmp_path, "sh", "-c", "echo wrong; exit 3"))
    assert error.value.completed.code == 3
    assert "wrong" in error.value.details


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no-such-program"):
        asyncio.run(run(tmp_path, "no-such-program"))


def test_cancelling_ends_the_program_and_its_children(tmp_path: Path) -> None:
    """The pipe whose other end the grandchild holds closes while that is ending, a moment before it is gone."""
    started: list[str] = []

    async def story() -> None:
        heard = asyncio.Event()

        def hear(line: str) -> None:
            started.append(line)
            heard.set()

        task = asyncio.create_task(run(tmp_path, "sh", "-c", "sh -c 'echo $$; exec sleep 1000' & wait", on_line=hear))
        await heard.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())
    status = Path("/proc") / started[0] / "stat"

    def alive() -> str:
        try:
            state = status.read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return "" if state in "ZX" else f"it is in state {state}"

    assert wait_until(alive, SystemClock(), seconds=5, every=0.01).missing == ""
