"""What `./dev bench boot` and `update` read their figures from."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from bedplate.cli.progress import ConsoleReport
from bedplate.model.errors import OurError
from bedplate.testing.clock import FakeClock
from bench.boot import step_seconds, working_sets
from bench.on_node import CONTROL_GROUP, held, sent

METRICS = """\
# TYPE container_memory_working_set_bytes gauge
container_memory_working_set_bytes{container="",id="/",image=""} 2.29e+08 1764000000000
container_memory_working_set_bytes{container="",id="/system.slice/kubelet.service",image=""} 1e+08 1764000000000
container_memory_usage_bytes{container="",id="/",image=""} 9e+08 1764000000000
"""
LOG = """http://10.75.0.1:8470/
10.75.0.11 - - [25/Nov/2026 03:00:00] "GET /metadata/timestamp.json HTTP/1.1" 304 0
10.75.0.11 - - [25/Nov/2026 03:00:02] "GET /targets/releases/x/usr.zst HTTP/1.1" 206 1000
10.75.0.11 - - [25/Nov/2026 03:00:09] "GET /targets/releases/x/uki.zst HTTP/1.1" 200 250
"""


def progress() -> str:
    """What a command prints where nobody watches."""
    out, clock = StringIO(), FakeClock()
    report = ConsoleReport(Console(file=out), clock)
    with report.step("Preflight"):
        clock.sleep(1.5)
    with report.step("Control plane") as step:
        clock.sleep(6.25)
        step.note("ready 4.3 s after its start")
    return out.getvalue()


@pytest.mark.parametrize(("name", "seconds"), [("Preflight", 1.5), ("Control plane", 6.2)])
def test_the_seconds_of_a_step_are_those_that_were_told(name: str, seconds: float) -> None:
    assert step_seconds(progress(), name) == seconds


def test_a_step_that_nobody_told_of_is_no_figure() -> None:
    with pytest.raises(OurError, match="step Control took"):
        step_seconds(progress(), "Control")


def test_memory_is_told_by_cgroup() -> None:
    assert working_sets(METRICS) == {"/": 2.29e8, "/system.slice/kubelet.service": 1e8}


def test_memory_that_the_kernel_can_take_back_is_not_held() -> None:
    said = f'content of file "{CONTROL_GROUP}/memory.stat": '
    assert held(f"{said}anon 4000\nfile 90000\nkernel 700\nkernel_stack 100\nslab_reclaimable 200\nslab 300\n") == 4500


def test_a_control_group_that_is_gone_holds_nothing_that_could_be_told() -> None:
    assert held("error reading file content for /host/sys/fs/cgroup/a: no such file or directory\n") is None


def test_what_went_out_is_the_sum_of_all_answers() -> None:
    assert sent(LOG) == 1250
