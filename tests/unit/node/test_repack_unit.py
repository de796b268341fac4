"""What the agent counts on of the units that it lives in and starts is what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.node.__main__ import DUTIES
from bedplate.node.repack.ask import LONGEST_SECONDS
from bedplate.node.repack.job import FOLDER, MOST_BYTES, UNIT, UNIT_BYTES
from bedplate.node.update.taking import ALLOWED_BYTES

OS = Path(__file__).parents[3] / "os/usr/lib"
REPACK, AGENT = UNIT, "bedplate-agent.service"
BOTH_HAVE = (
    "NoNewPrivileges",
    "ProtectSystem",
    "ProtectHome",
    "ProtectKernelTunables",
    "ProtectKernelModules",
    "ProtectKernelLogs",
    "ProtectControlGroups",
    "ProtectClock",
    "ProtectHostname",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "LockPersonality",
    "MemoryDenyWriteExecute",
    "SystemCallArchitectures",
)


def settings(unit: str) -> dict[str, str]:
    lines = (OS / "systemd/system" / unit).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_the_limits_of_the_unit_are_those_that_the_agent_reckons_with() -> None:
    unit = settings(REPACK)
    assert unit["MemoryMax"] == f"{UNIT_BYTES >> 30}G"
    assert unit["LimitFSIZE"] == f"{MOST_BYTES >> 20}M"
    assert unit["TimeoutStartSec"] == "30min"
    assert LONGEST_SECONDS > 30 * 60


def test_the_agent_allows_itself_less_than_its_unit_does() -> None:
    assert settings(AGENT)["MemoryMax"] == "128M"
    assert ALLOWED_BYTES < 128 << 20


def test_the_unit_starts_a_duty_of_the_agent_in_a_folder_that_is_made_at_boot() -> None:
    unit = settings(REPACK)
    assert unit["ExecStart"].split()[-1] in DUTIES
    assert unit["ReadWritePaths"] == f"/{FOLDER}"
    assert f"d /{FOLDER} 0700 root root" in (OS / "tmpfiles.d/bedplate.conf").read_text().splitlines()


@pytest.mark.parametrize("name", BOTH_HAVE)
def test_the_process_apart_is_shut_in_as_the_agent_is(name: str) -> None:
    assert settings(REPACK)[name] == settings(AGENT)[name]


def test_it_has_no_rights_of_root_no_network_and_no_devices() -> None:
    unit = settings(REPACK)
    assert [unit[each] for each in ("CapabilityBoundingSet", "RestrictAddressFamilies")] == ["", "none"]
    assert [unit[each] for each in ("PrivateNetwork", "PrivateDevices")] == ["yes", "yes"]
    assert unit["SystemCallFilter"] == "@system-service"


def test_workloads_go_before_it() -> None:
    unit, group = settings(REPACK), settings(settings(REPACK)["Slice"])
    assert [unit[each] for each in ("CPUSchedulingPolicy", "IOSchedulingClass")] == ["idle", "idle"]
    assert group["CPUWeight"] == "idle"
    assert (unit["OOMScoreAdjust"], unit["MemorySwapMax"]) == ("1000", "0")
