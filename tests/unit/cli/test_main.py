"""What the command says and returns when something goes wrong."""

from __future__ import annotations

import errno
import io
import os
import tomllib
from pathlib import Path

import pytest

from bedplate.cli.context import started_in, typed
from bedplate.cli.main import VERSION, Settings, describe, main, tell
from bedplate.model.errors import MachineError, OurError, PeerError, UserError

NO_SPACE = MachineError("The disk is full.", details="3 GB free\n9 GB needed", resolution="Free 6 GB in /var.")


def told(problem: Exception, *, debug: bool = False, crash: Path | None = None) -> tuple[int, str]:
    file = io.StringIO()
    return tell(problem, settings=Settings(debug=debug), file=file, crash=crash), file.getvalue()


def test_a_foreseen_error_reads_as_what_whose_facts_and_what_to_do() -> None:
    assert describe(NO_SPACE) == (
        "Error: The disk is full.\n"
        "  At fault: this machine\n"
        "  3 GB free\n"
        "  9 GB needed\n"
        "  What to do: Free 6 GB in /var.\n"
    )  # fmt: skip


ADVICE = UserError("No such pool.", resolution="List them with `bedplate nodepool list`, or run bedplate preflight.")


def test_hints_are_as_the_command_was_started() -> None:
    with started_in({}):
        assert "`bedplate nodepool list`, or run bedplate preflight." in describe(ADVICE)
    with started_in({"BEDPLATE_COMMAND": "./dev bedplate"}):
        assert "`./dev bedplate nodepool list`, or run ./dev bedplate preflight." in describe(ADVICE)


@pytest.mark.parametrize(
    "text", ["bedplate-agent is down", "./dev bedplate cluster up", "/opt/bedplate is there", "python -m bedplate.cli"]
)
def test_what_is_no_hint_is_left_as_it_is(text: str) -> None:
    with started_in({"BEDPLATE_COMMAND": "./dev bedplate"}):
        assert typed(text) == text


def test_usage_names_the_command_as_it_was_started(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "up", "--nope"], {"BEDPLATE_COMMAND": "./dev bedplate"}) == 2
    assert "Try './dev bedplate cluster up --help' for help." in capsys.readouterr().err


@pytest.mark.parametrize("words", [["-h"], ["help"], ["--help"]])
def test_help_is_had_by_any_usual_word(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words, {}) == 0
    assert capsys.readouterr().out.startswith("Usage: bedplate [OPTIONS] COMMAND")


@pytest.mark.parametrize("words", [["help", "nodepool", "add"], ["nodepool", "add", "-h"]])
def test_help_of_a_command_is_too(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words, {}) == 0
    assert capsys.readouterr().out.startswith("Usage: bedplate nodepool add [OPTIONS]")


def test_help_on_what_is_no_command_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "ghost"], {}) == 2
    assert "No such command 'ghost'" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "code"), [(UserError, 2), (MachineError, 3), (PeerError, 4), (OurError, 70)])
def test_the_exit_code_says_who_has_to_act(kind: type[UserError], code: int) -> None:
    assert told(kind("x"))[0] == code


def test_a_foreseen_error_shows_its_traceback_only_when_asked() -> None:
    assert "Traceback" not in told(NO_SPACE)[1]
    assert "MachineError" in told(NO_SPACE, debug=True)[1]


def test_several_errors_at_once_are_all_told() -> None:
    code, text = told(ExceptionGroup("tasks", [NO_SPACE, UserError("No such pool.")]))
    assert code == 3
    assert "The disk is full." in text
    assert "No such pool." in text


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_what_the_system_refuses_is_the_machines_fault_wherever_it_happens(code: int) -> None:
    exit_code, text = told(OSError(code, os.strerror(code), "/some/file"))
    assert exit_code == 3
    assert "/some/file" in text
    assert "What to do:" in text


def test_other_errors_of_the_system_are_nothing_that_was_foreseen() -> None:
    assert told(FileNotFoundError(errno.ENOENT, "No such file", "/x"), debug=True)[0] == 70


def test_an_unforeseen_error_among_foreseen_ones_is_not_hidden() -> None:
    code, text = told(ExceptionGroup("tasks", [NO_SPACE, ZeroDivisionError("x")]), debug=True)
    assert code == 70
    assert "ZeroDivisionError" in text


def test_the_traceback_of_what_broke_is_kept_in_a_file(tmp_path: Path) -> None:
    crash = tmp_path / "crashes" / "one.txt"
    _, text = told(ZeroDivisionError("x"), crash=crash)
    assert str(crash) in text
    assert "Traceback" not in text
    assert "ZeroDivisionError" in crash.read_text()


def test_where_the_traceback_cannot_be_kept_the_way_to_see_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    _, text = told(ZeroDivisionError("x"), crash=tmp_path / "file" / "one.txt")
    assert "--debug" in text


def test_what_broke_in_bedplate_is_one_line_and_a_traceback_when_asked() -> None:
    code, text = told(ZeroDivisionError("by\nzero"), debug=True)
    assert code == 70
    assert text.endswith("Bedplate broke: ZeroDivisionError: by zero\n")


def test_a_command_that_does_not_exist_is_the_requests_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nonsense"]) == 2
    assert "No such command 'nonsense'" in capsys.readouterr().err


def test_the_version_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"bedplate {VERSION}\n"


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
