"""A boot test that fails tells what its machines said last, whatever made it fail and whatever gave it its machines."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from bedplate.host.run import SystemRunner
from tests.full_run import ROOT

FAILING = """
from pathlib import Path

import pytest

from bedplate.testing.home import Home

@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    console = home.cluster / "machines/n1/console.log"
    console.parent.mkdir(parents=True)
    console.write_bytes(b"\\x1b[0mBooting\\r\\n" + b"lost in setup\\r\\n")
    return home

@pytest.fixture
def nodes(home):
    raise TimeoutError("no nodes")

def test_that_fails_in_setup(nodes): pass

def test_that_fails(home):
    (home.cluster / "machines/n1/console.log").write_bytes(b"lost in the test")
    assert home is None

def test_without_machines():
    assert False
"""


def test_whatever_makes_a_boot_test_fail_its_message_has_the_consoles(tmp_path: Path) -> None:
    shutil.copyfile(ROOT / "tests/boot/conftest.py", tmp_path / "conftest.py")
    (tmp_path / "test_failing.py").write_text(FAILING)
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'temporary'}", tmp_path]
    done = SystemRunner().run(argv, cwd=tmp_path, env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, ok=[1])
    message = [line.removeprefix("E").strip() for line in done.text.splitlines() if line.startswith("E  ")]
    assert message[:4] == ["TimeoutError: no nodes", "--- console of n1", "Booting", "lost in setup"]
    assert message[-3:-1] == ["--- console of n1", "lost in the test"]
    assert message.count("--- console of n1") == 2
