"""Units are started by links in /usr, and only units that are there."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bedplate.image.stage import enable_units
from bedplate.image.usr import Data, InitrdRules, Modules, UsrRules, parse_rules
from bedplate.model.errors import UserError
from bedplate.node.health.gate import STAYS
from bedplate.node.settings import MOST_SECONDS
from bedplate.node.update.main import LOCK

RECIPE = Path(__file__).parents[3] / "os"
RULES = UsrRules(
    executables={},
    libraries={},
    data=Data(()),
    enable={"multi-user.target": ("kubelet.service",)},
    alias={"default.target": "multi-user.target"},
    modules=Modules(()),
    initrd=InitrdRules((), (), (), ()),
)


@pytest.fixture
def system(tmp_path: Path) -> Path:
    folder = tmp_path / "usr/lib/systemd/system"
    (folder / "sysinit.target.wants").mkdir(parents=True)
    for unit in ("kubelet.service", "multi-user.target"):
        (folder / unit).touch()
    return folder


def test_a_unit_is_wanted_by_its_target_and_found_by_its_alias(tmp_path: Path, system: Path) -> None:
    enable_units(tmp_path, RULES)
    assert (system / "multi-user.target.wants/kubelet.service").resolve() == system / "kubelet.service"
    assert (system / "default.target").resolve() == system / "multi-user.target"


def test_what_packages_want_but_the_image_does_not_have_is_not_wanted(tmp_path: Path, system: Path) -> None:
    (system / "sysinit.target.wants/ghost.service").symlink_to("../ghost.service")
    enable_units(tmp_path, RULES)
    assert list((system / "sysinit.target.wants").iterdir()) == []


@pytest.mark.parametrize(
    "rules",
    [
        msgspec.structs.replace(RULES, enable={"multi-user.target": ("kublet.service",)}),
        msgspec.structs.replace(RULES, alias={"default.target": "kublet.service"}),
    ],
)
def test_a_unit_that_the_recipe_starts_and_the_image_lacks_is_named(
    tmp_path: Path, system: Path, rules: UsrRules
) -> None:
    del system
    with pytest.raises(UserError, match="starts units that the image does not have") as caught:
        enable_units(tmp_path, rules)
    assert caught.value.details == "kublet.service"


ORDERING = ("After=", "Before=", "Requires=", "Wants=", "RequiresMountsFor=", "Conflicts=", "OnFailure=")


def ours() -> list[Path]:
    """The units and drop-ins of the recipe."""
    folders = [folder for folder in (RECIPE / "usr", RECIPE / "debug/usr") for folder in folder.rglob("systemd/system")]
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]


def unexplained(unit: str) -> list[str]:
    """The ordering lines that have no comment above them, nor above the ordering lines that they go on from."""
    found, explained = [], False
    for line in unit.splitlines():
        if line.startswith(ORDERING):
            found += [] if explained else [line]
        else:
            explained = line.startswith("#")
    return found


@pytest.mark.parametrize("unit", ours(), ids=lambda path: str(path.relative_to(RECIPE)))
def test_a_unit_of_ours_says_why_it_is_ordered_so(unit: Path) -> None:
    assert unexplained(unit.read_text()) == []


def test_an_ordering_line_without_a_reason_is_seen() -> None:
    text = "[Unit]\n# it needs this\nAfter=a\nBefore=b\nDescription=x\nRequires=c\n"
    assert unexplained(text) == ["Requires=c"]


@pytest.mark.parametrize(
    ("unit", "line"),
    [
        ("kubelet.service", "Requires=containerd.service"),
        ("containerd.service", "Requires=bedplate-noexec.service"),
        ("bedplate-noexec.service", "OnFailure=emergency.target"),
    ],
)
def test_nothing_that_brings_programs_starts_where_writable_places_could_run_them(unit: str, line: str) -> None:
    assert line in (RECIPE / "usr/lib/systemd/system" / unit).read_text().splitlines()


def lines(unit: str) -> list[str]:
    return (RECIPE / "usr/lib/systemd/system" / unit).read_text().splitlines()


def test_a_boot_whose_gate_gives_no_verdict_ends_in_another_while_the_loader_counts_it() -> None:
    """However the gate ends; systemd-boot makes that variable for a boot that it counts, and for no other."""
    variable = "/sys/firmware/efi/efivars/LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
    assert "OnFailure=bedplate-give-up.service" in lines("bedplate-health.service")
    assert {f"ConditionPathExists={variable}", "SuccessAction=reboot", "FailureAction=reboot"} <= set(
        lines("bedplate-give-up.service")
    )


def test_what_shows_that_a_boot_is_counted_is_on_the_node() -> None:
    assert "kernel/fs/efivarfs/*" in parse_rules((RECIPE / "usr.toml").read_bytes()).modules.keep


def test_the_gate_can_keep_its_boot_from_being_ended() -> None:
    folder, name = STAYS.rsplit("/", 1)
    assert f"ConditionPathExists=!/{folder}/{name}" in lines("bedplate-give-up.service")
    assert {f"RuntimeDirectory={folder.removeprefix('run/')}", "RuntimeDirectoryPreserve=yes"} <= set(
        lines("bedplate-health.service")
    )


def test_the_agent_s_lock_is_where_no_disk_can_be_full_or_write_protected() -> None:
    """Also while somebody holds it who started the agent by hand, and the unit stops."""
    folder, _ = LOCK.rsplit("/", 1)
    assert {f"RuntimeDirectory={folder.removeprefix('run/')}", "RuntimeDirectoryPreserve=yes"} <= set(
        lines("bedplate-agent.service")
    )


def test_a_gate_that_hangs_is_ended_later_than_one_that_waits_for_the_longest_time_there_is() -> None:
    (limit,) = (line for line in lines("bedplate-health.service") if line.startswith("JobTimeoutSec="))
    minutes = int(limit.removeprefix("JobTimeoutSec=").removesuffix("min"))
    assert minutes * 60 >= MOST_SECONDS + 30 * 60  # until the gate runs, and to look through the other slot


def test_the_kernel_knows_disks_that_may_be_plugged_in_before_the_agent_starts() -> None:
    agent = (RECIPE / "usr/lib/systemd/system/bedplate-agent.service").read_text()
    loaded = (RECIPE / "usr/lib/modules-load.d/bedplate.conf").read_text().splitlines()
    assert ("DeviceAllow=block-sd rw" in agent, "sd_mod" in loaded) == (True, True)
