import pytest

from bedplate.image.wheels import Target, choose_wheels
from bedplate.model.errors import UserError

TARGET = Target("cp313")
LOCK = b"""
[[package]]
name = "tool"
version = "1"
dependencies = [{ name = "helper" }, { name = "elsewhere", marker = "sys_platform == 'win32'" }]
wheels = [
    { url = "https://example.org/tool-1-cp313-cp313-win_amd64.whl", hash = "sha256:WRONG" },
    { url = "https://example.org/tool-1-cp313-cp313-manylinux_2_17_x86_64.whl", hash = "sha256:RIGHT" },
]

[[package]]
name = "helper"
version = "2"
dependencies = [{ name = "tool" }]
wheels = [{ url = "https://example.org/helper-2-py3-none-any.whl", hash = "sha256:HELPER" }]

[[package]]
name = "elsewhere"
version = "3"
"""


@pytest.mark.parametrize(
    ("tags", "fits"),
    [
        ("cp313-cp313-manylinux2014_x86_64.manylinux_2_17_x86_64", True),
        ("cp313-abi3-manylinux_2_28_x86_64", True),
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("py3-none-manylinux2014_x86_64", True),
        ("cp312-cp312-manylinux2014_x86_64", False),
        ("cp313-cp313t-manylinux2014_x86_64", False),
        ("cp313-cp313-manylinux2014_aarch64", False),
        ("cp313-cp313-musllinux_1_2_x86_64", False),
        ("cp313-cp313-macosx_11_0_x86_64", False),
        ("py2-none-any", False),
    ],
)
def test_a_wheel_fits_by_its_tags(tags: str, *, fits: bool) -> None:
    assert TARGET.accepts(f"name-1.0-{tags}.whl") is fits


def test_what_a_package_needs_comes_along_but_not_what_other_systems_need() -> None:
    assert [wheel.sha256 for wheel in choose_wheels(LOCK, ["tool"], TARGET)] == ["HELPER", "RIGHT"]


@pytest.mark.parametrize("name", ["elsewhere", "unheard-of"])
def test_a_package_without_a_fitting_wheel_is_named(name: str) -> None:
    with pytest.raises(UserError, match=name):
        choose_wheels(LOCK, [name], TARGET)


def test_a_lock_that_cannot_be_read_says_how_to_make_it_anew() -> None:
    with pytest.raises(UserError, match=r"uv\.lock cannot be read") as caught:
        choose_wheels(b"banana", ["tool"], TARGET)
    assert "uv lock" in caught.value.resolution
