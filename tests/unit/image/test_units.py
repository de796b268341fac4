"""Units are started by links in /usr, and only units that are there."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bedplate.image.stage import enable_units
from bedplate.image.usr import Data, InitrdRules, Modules, UsrRules
from bedplate.model.errors import UserError

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
