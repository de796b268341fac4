"""What is built from source: read from components/NAME/go.mod, go.sum and component.toml."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from bedplate.image.components.gomod import GoMod, executable_name, parse_go_mod
from bedplate.model.errors import UserError

VERSION = re.compile(r"v(?P<number>(?P<major>\d+)\.(?P<minor>\d+)\.(?P<patch>\d+).*)")


class Role(StrEnum):
    """Where a tool runs: on the nodes, from the image; or beside them, as part of a local cluster."""

    IMAGE = "image"
    CLUSTER = "cluster"


class ToolText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[tools.NAME]` of component.toml; `package` only where `go build` would choose another name."""

    role: Role
    why: str
    package: str = ""


class CgoText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[cgo]`: C libraries by their pkg-config names, and the Debian packages that bring all that is needed."""

    libraries: tuple[str, ...]
    packages: tuple[str, ...]


class ComponentText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """component.toml as written. `seconds` is a build from nothing on two cores."""

    why: str
    seconds: float
    tools: dict[str, ToolText]
    variables: dict[str, str] = {}
    tags: tuple[str, ...] = ()
    linker: tuple[str, ...] = ()
    cgo: CgoText | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """One program: the Go package that it is made of, what `go build` calls it, and why we want it."""

    name: str
    package: str
    built_as: str
    role: Role
    why: str


@dataclass(frozen=True, slots=True)
class Component:
    """One Go module that we build tools from.

    `version` is what go.mod requires of `module`; `flags` are the arguments of `go build` that shape its
    output; `lock` holds go.mod and go.sum by name; `cgo` is set where C code is linked in.
    """

    name: str
    folder: Path
    module: str
    version: str
    why: str
    seconds: float
    tools: tuple[Tool, ...]
    flags: tuple[str, ...]
    cgo: CgoText | None
    lock: Mapping[str, str]


def read_catalogue(folder: Path) -> tuple[Component, ...]:
    """Every component below `folder`, by name. Raises `UserError` for files that contradict each other."""
    files = sorted(folder.glob("*/component.toml"))
    if not files:
        raise UserError(
            f"There are no components in {folder}.",
            resolution="Run this in a checkout of Bedplate, or name one with --root.",
        )
    return tuple(read_component(file.parent) for file in files)


def read_component(folder: Path) -> Component:
    lock = {name: _text(folder / name) for name in ("go.mod", "go.sum")}
    file = folder / "component.toml"
    try:
        text = msgspec.toml.decode(_text(file), type=ComponentText)
    except msgspec.DecodeError as problem:
        raise UserError(
            f"{file} is not a component description.",
            details=str(problem),
            resolution="docs/how-to/add-a-component.md shows the fields.",
        ) from problem
    return make_component(folder, text, lock)


def make_component(folder: Path, text: ComponentText, lock: Mapping[str, str]) -> Component:
    """Join the description with the lock; every tool has to stand in both."""
    go_mod = parse_go_mod(lock["go.mod"])
    tools = tuple(
        Tool(name, package, executable_name(package), tool.role, tool.why)
        for name, tool in sorted(text.tools.items())
        for package in [tool.package or _package_named(name, go_mod)]
    )
    _check_tools(folder, tools, go_mod)
    module = go_mod.module_of(tools[0].package)
    if module is None:
        raise UserError(
            f"{folder / 'go.mod'} requires no module that holds {tools[0].package}.",
            resolution=f"Run `go get -tool {tools[0].package}@VERSION` in {folder}.",
        )
    version = go_mod.requires[module]
    return Component(
        name=folder.name,
        folder=folder,
        module=module,
        version=version,
        why=text.why,
        seconds=text.seconds,
        tools=tools,
        flags=go_flags(text, version),
        cgo=text.cgo,
        lock=lock,
    )


def go_flags(text: ComponentText, version: str) -> tuple[str, ...]:
    """The arguments of `go build` that shape its output; `{version}` and its parts come from go.mod."""
    match = VERSION.fullmatch(version)
    if match is None:
        raise UserError(f"{version!r} is no version of a Go module.", resolution="Write it as v1.2.3 in go.mod.")
    parts = {"version": version, **match.groupdict()}
    variables = [f"-X {name}={_filled(name, value, parts)}" for name, value in sorted(text.variables.items())]
    tags = [f"-tags={','.join(text.tags)}"] if text.tags else []
    return ("-trimpath", "-buildvcs=false", *tags, f"-ldflags={' '.join(['-s -w', *variables, *text.linker])}")


def _filled(name: str, value: str, parts: Mapping[str, str]) -> str:
    try:
        return value.format(**parts)
    except (KeyError, IndexError, ValueError) as problem:
        raise UserError(
            f"{value!r}, for the variable {name}, cannot be filled in.",
            details=f"{type(problem).__name__}: {problem}",
            resolution=f"Known placeholders: {', '.join(f'{{{part}}}' for part in parts)}.",
        ) from problem


def choose(
    catalogue: Collection[Component], names: Collection[str] | None, role: Role | None = None
) -> tuple[Component, ...]:
    """The components with these names (all for `None`) that have a tool with that role (any for `None`)."""
    known = {component.name: component for component in catalogue}
    for name in names or ():
        if name not in known:
            raise _unknown(name, catalogue)
    chosen = [component for component in catalogue if names is None or component.name in names]
    return tuple(c for c in chosen if role is None or any(tool.role is role for tool in c.tools))


def _unknown(name: str, catalogue: Collection[Component]) -> UserError:
    owners = [component.name for component in catalogue if any(tool.name == name for tool in component.tools)]
    return UserError(
        f"There is no component {name}.",
        details=f"{name} is a tool of the component {owners[0]}." if owners else "",
        resolution=f"Known components: {', '.join(sorted(component.name for component in catalogue))}.",
    )


def _package_named(name: str, go_mod: GoMod) -> str:
    return next((package for package in go_mod.tools if executable_name(package) == name), name)


def _check_tools(folder: Path, tools: tuple[Tool, ...], go_mod: GoMod) -> None:
    described, locked = {tool.package for tool in tools}, set(go_mod.tools)
    problems = [
        *(f"{package} stands in go.mod as a tool and is not described" for package in sorted(locked - described)),
        *(f"{package} is described and is no tool of go.mod" for package in sorted(described - locked)),
    ]
    if problems or not tools:
        raise UserError(
            f"{folder}: component.toml and go.mod name different tools.",
            details="\n".join(problems) or "Neither names a tool.",
            resolution="Give every tool of go.mod its [tools.NAME] with role and why.",
        )


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError as problem:
        raise UserError(
            f"{file} is missing.", resolution="docs/how-to/add-a-component.md tells which files a component has."
        ) from problem
