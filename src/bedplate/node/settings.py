"""What a node is told of updates: /usr/share/bedplate/agent.toml, and over it the credential `bedplate.agent`."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from bedplate.model.errors import UserError
from bedplate.node.health.probes import Probe
from bedplate.rollout.windows import Window

DEFAULTS = "usr/share/bedplate/agent.toml"
CREDENTIAL = "bedplate.agent"
ROOT_CREDENTIAL = "bedplate.release-root"
ROOT = "usr/share/bedplate/root.json"


class _Setting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Source(_Setting, frozen=True):
    """Where releases come from: URLs of the same repository, tried in order, and bundles where none of them answers.

    Each of `bundles` is a path or `LABEL=NAME`, as `bedplate.host.media` reads them. `channel` is a name such as
    `stable`, which is completed with the minor that runs, or empty. `proxy` is a URL; `ca` are certificates in PEM that
    are trusted besides those of the image. Rates are bytes a second, 0 is any.
    """

    mirrors: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ("/var/lib/bedplate/bundle.zip", "LABEL=BEDPLATE")
    channel: str = ""
    proxy: str = ""
    ca: str = ""
    rate: int = 0
    check_seconds: int = 3600
    jitter_seconds: int = 600


class Leave(_Setting, frozen=True):
    """When a node may reboot: at any time, in `windows` of the time zone `zone`, and with the leave of a FleetLock
    server at the URL `fleet_lock`, in whose group `group` it is. What is given has to hold.

    `proxy` and `ca` are for that server what those of `Source` are for releases: it may stand in another network.
    """

    windows: tuple[Window, ...] = ()
    zone: str = "UTC"
    fleet_lock: str = ""
    group: str = "default"
    proxy: str = ""
    ca: str = ""


class Health(_Setting, frozen=True):
    """How long a new version may take to be healthy, and the checks of the machine's user."""

    seconds: int = 600
    probes: tuple[Probe, ...] = ()


class Settings(_Setting, frozen=True):
    """Everything, resolved once."""

    source: Source = Source()
    leave: Leave = Leave()
    health: Health = Health()


def read_settings(root: Path, credentials: Path | None) -> Settings:
    """The settings of the machine whose files begin at `root`. Raises `UserError` when one cannot be read."""
    given = credentials / CREDENTIAL if credentials else None
    texts = [path.read_bytes() for path in (root / DEFAULTS, given) if path and path.is_file()]
    return resolve(*texts)


def resolve(*texts: bytes) -> Settings:
    """The settings of several texts (TOML 1.0), later ones before earlier ones, key by key of each table."""
    merged: dict[str, dict[str, object]] = {}
    try:
        for text in texts:
            for name, table in tomllib.loads(text.decode()).items():
                merged[name] = {**merged.get(name, {}), **table}
        return msgspec.convert(merged, Settings)
    except (ValueError, TypeError) as problem:
        raise UserError(
            "The settings of the agent cannot be used.",
            details=str(problem),
            resolution=f"Correct the credential {CREDENTIAL}; docs/reference/agent-settings.md has every key.",
        ) from problem


def release_root(root: Path, credentials: Path | None) -> bytes:
    """The root of trust of releases (TUF root metadata): the machine's own, or the image's; empty without one."""
    given = credentials / ROOT_CREDENTIAL if credentials else None
    found = next((path for path in (given, root / ROOT) if path and path.is_file()), None)
    return found.read_bytes() if found else b""
