"""A component is its go.mod and its description, and the two have to agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.image.components.catalogue import (
    Component,
    ComponentText,
    Role,
    ToolText,
    choose,
    go_flags,
    make_component,
    read_catalogue,
    read_component,
)
from bedplate.image.components.gomod import executable_name, parse_go_mod
from bedplate.model.errors import UserError

ROOT = Path(__file__).parents[3]
GO_MOD = """module example.dev/components/ship // a comment

go 1.26.0

tool (
	example.dev/ship/cmd/hull
	example.dev/ship/sail/v3
)

require example.dev/ship v1.2.3 // indirect
require (
	example.dev/ship/sail/v3 v3.0.1 // indirect
	example.dev/sea v0.1.0
)
"""
TOOL = ToolText(role=Role.IMAGE, why="floats")
SAIL = ToolText(role=Role.CLUSTER, why="drives", package="example.dev/ship/sail/v3")


def text(**changes: object) -> ComponentText:
    fields = {"why": "a ship", "seconds": 10.0, "tools": {"hull": TOOL, "mast": SAIL}, **changes}
    return ComponentText(**fields)  # type: ignore[arg-type]  # a table of changes has no one type


def ship(**changes: object) -> Component:
    return make_component(Path("components/ship"), text(**changes), {"go.mod": GO_MOD, "go.sum": ""})


def test_go_mod_gives_tools_and_versions_from_lines_and_blocks() -> None:
    go_mod = parse_go_mod(GO_MOD)
    assert go_mod.tools == ("example.dev/ship/cmd/hull", "example.dev/ship/sail/v3")
    assert go_mod.requires["example.dev/ship"] == "v1.2.3"
    assert go_mod.requires["example.dev/sea"] == "v0.1.0"


@pytest.mark.parametrize(
    ("package", "module"),
    [
        ("example.dev/ship/cmd/hull", "example.dev/ship"),
        ("example.dev/ship/sail/v3", "example.dev/ship/sail/v3"),
        ("example.dev/shipyard", None),
    ],
)
def test_the_module_of_a_package_is_the_longest_that_holds_it(package: str, module: str | None) -> None:
    assert parse_go_mod(GO_MOD).module_of(package) == module


@pytest.mark.parametrize(
    ("package", "name"), [("a.dev/b/c", "c"), ("a.dev/b/v3", "b"), ("a.dev/v1", "v1"), ("a.dev/vole", "vole")]
)
def test_a_program_is_named_as_go_build_names_it(package: str, name: str) -> None:
    assert executable_name(package) == name


def test_the_version_is_what_go_mod_requires() -> None:
    assert (ship().module, ship().version) == ("example.dev/ship", "v1.2.3")


def test_a_tool_may_have_another_name_than_its_package() -> None:
    assert [(tool.name, tool.built_as) for tool in ship().tools] == [("hull", "hull"), ("mast", "sail")]


def test_flags_are_filled_in_from_the_version() -> None:
    flags = go_flags(text(variables={"a.b": "{version}", "a.c": "{number}/{major}/{minor}/{patch}"}), "v1.37.2")
    assert flags == ("-trimpath", "-buildvcs=false", "-ldflags=-s -w -X a.b=v1.37.2 -X a.c=1.37.2/1/37/2")


def test_tags_and_linker_options_are_passed_on() -> None:
    assert go_flags(text(tags=("x", "y"), linker=("-extldflags -static",)), "v1.0.0")[2:] == (
        "-tags=x,y",
        "-ldflags=-s -w -extldflags -static",
    )


@pytest.mark.parametrize(
    ("tools", "problem"),
    [
        ({"hull": TOOL}, "example.dev/ship/sail/v3 stands in go.mod as a tool and is not described"),
        ({"hull": TOOL, "mast": SAIL, "keel": TOOL}, "keel is described and is no tool of go.mod"),
        ({}, "hull stands in go.mod as a tool and is not described"),
    ],
)
def test_every_tool_stands_in_both_files(tools: dict[str, ToolText], problem: str) -> None:
    with pytest.raises(UserError) as error:
        ship(tools=tools)
    assert problem in error.value.details


def test_an_unknown_placeholder_names_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"\{version\}"):
        go_flags(text(variables={"a": "{colour}"}), "v1.0.0")


def test_an_unknown_component_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError) as error:
        choose([ship()], ["boat"])
    assert "ship" in error.value.resolution


def test_whoever_names_a_tool_learns_its_component() -> None:
    with pytest.raises(UserError) as error:
        choose([ship()], ["mast"])
    assert error.value.details == "mast is a tool of the component ship."


@pytest.mark.parametrize(("role", "count"), [(None, 1), (Role.IMAGE, 1), (Role.CLUSTER, 0)])
def test_a_role_leaves_out_components_without_such_a_tool(role: Role | None, count: int) -> None:
    hull = make_component(
        Path("hull"), text(tools={"hull": TOOL}), {"go.mod": "tool e.dev/hull\nrequire e.dev/hull v1.0.0", "go.sum": ""}
    )
    assert len(choose([hull], None, role)) == count


def test_a_description_with_an_unknown_field_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text(GO_MOD)
    (tmp_path / "go.sum").write_text("")
    (tmp_path / "component.toml").write_text('why = "x"\nsecond = 3\n')
    with pytest.raises(UserError, match=r"component\.toml"):
        read_component(tmp_path)


def test_our_own_catalogue_is_sound() -> None:
    tools = {tool.name: tool.role for component in read_catalogue(ROOT / "components") for tool in component.tools}
    assert tools["kubelet"] is Role.IMAGE
    assert tools["etcd"] is Role.CLUSTER
