"""The name of a build in the cache: a digest of everything that can change its bytes."""

from __future__ import annotations

from bedplate.image.components.catalogue import Component
from bedplate.model.digests import sha256_of_parts

KEY_DIGITS = 20
FIXED_ENVIRONMENT = {
    "GOOS": "linux",
    "GOARCH": "amd64",
    "GOAMD64": "v1",
    "GOEXPERIMENT": "",
    "GOFLAGS": "-mod=readonly",
    "GOTOOLCHAIN": "local",
    "GOENV": "off",
    "GOWORK": "off",
}
"""Settings of the go command that a person's own configuration must not change."""


def build_environment(component: Component) -> dict[str, str]:
    """What the go command is told through the environment, as far as it shapes the output."""
    return {**FIXED_ENVIRONMENT, "CGO_ENABLED": "1" if component.cgo else "0"}


def content_key(component: Component, *, toolchain: str, c_side: str) -> str:
    """The key of a component's build.

    `toolchain` is the digest of the Go toolchain; `c_side` names the C compiler and libraries and is empty
    where none are used. Descriptions (`why`, `role`, `seconds`) are left out: they change no byte.
    """
    return sha256_of_parts(
        [
            *((f"lock {name}", text) for name, text in component.lock.items()),
            *((f"environment {name}", value) for name, value in build_environment(component).items()),
            *((f"tool {tool.name}", tool.package) for tool in component.tools),
            *((f"flag {place}", flag) for place, flag in enumerate(component.flags)),
            ("toolchain", toolchain),
            ("C", c_side),
        ]
    )[:KEY_DIGITS]
