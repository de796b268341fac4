"""What a node is told of updates: /usr/share/bedplate/agent.toml, and over it the credential `bedplate.agent`."""

from __future__ import annotations

import ssl
import tomllib
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec.inspect import type_info

from bedplate.model.errors import UserError
from bedplate.model.network import address_of
from bedplate.node.health.probes import Probe
from bedplate.node.known import sorted_out
from bedplate.rollout.windows import Window

DEFAULTS = "usr/share/bedplate/agent.toml"
CREDENTIAL = "bedplate.agent"
ROOT_CREDENTIAL = "bedplate.release-root"
ROOT = "usr/share/bedplate/root.json"
MOST_SECONDS = 3600
"""The longest that a version may take: the unit of the gate counts on it."""


def zone_of(name: str) -> tzinfo:
    """The time zone of that name in the IANA time zone database. Raises `ValueError` when it has none."""
    if name == "UTC":
        return UTC  # needs no database, and is the default where there is none
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # some names are those of folders
        raise ValueError(f"{name!r} is not the name of a time zone, such as Europe/Berlin") from None


def _require_a_way(proxy: str, authority: str) -> None:
    """Raises `ValueError` for a proxy or certificates that are none. What a proxy's address holds may be a secret."""
    try:
        if proxy:
            address_of(proxy)
    except ValueError:
        raise ValueError("a proxy is written as http://HOST:PORT or http://NAME:PASSWORD@HOST:PORT") from None
    try:
        if authority:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=authority)
    except (ssl.SSLError, TypeError) as problem:
        raise ValueError(f"the authority that is to be trusted is no certificate in PEM: {problem}") from problem


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

    def __post_init__(self) -> None:
        for mirror in self.mirrors:
            address_of(mirror)
        _require_a_way(self.proxy, self.ca)
        if self.check_seconds < 1:
            raise ValueError(f"two looks at the repository are a second apart at least, and not {self.check_seconds}")
        if min(self.rate, self.jitter_seconds) < 0:
            raise ValueError(f"a rate of {self.rate} and a jitter of {self.jitter_seconds}: neither can be below 0")


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

    def __post_init__(self) -> None:
        zone_of(self.zone)
        if self.fleet_lock:
            address_of(self.fleet_lock)
        _require_a_way(self.proxy, self.ca)


class Health(_Setting, frozen=True):
    """How long a new version may take to be healthy, and the checks of the machine's user."""

    seconds: int = 600
    probes: tuple[Probe, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= MOST_SECONDS:
            raise ValueError(f"a version gets between 1 and {MOST_SECONDS} seconds, and this is {self.seconds}")


class _Tables(_Setting, frozen=True):
    """The whole of a file."""

    source: Source = Source()
    leave: Leave = Leave()
    health: Health = Health()


class Settings(_Tables, frozen=True):
    """Everything, resolved once. `unknown` are keys that were given and mean nothing to this version of the agent."""

    unknown: tuple[str, ...] = ()


def read_settings(root: Path, credentials: Path | None) -> Settings:
    """The settings of the machine whose files begin at `root`. Raises `UserError` when one cannot be used.

    Keys that are not known are passed over: a machine keeps its credential while its versions change.
    """
    given = credentials / CREDENTIAL if credentials else None
    try:
        texts = [path.read_bytes() for path in (root / DEFAULTS, given) if path and path.is_file()]
    except OSError as problem:
        raise _unusable(str(problem)) from problem
    return _understand(*texts)


def read_or_default(root: Path, credentials: Path | None) -> tuple[Settings, str]:
    """The same for what has to go on in any case: the defaults and why, where the settings cannot be used."""
    try:
        return read_settings(root, credentials), ""
    except UserError as problem:
        return Settings(), " ".join(problem.details.split())


def resolve(*texts: bytes) -> Settings:
    """The settings of several texts (TOML 1.0), later ones before earlier ones, key by key of each table.

    Raises `UserError` for a key that is not known as well: whoever is writing them learns of a slip.
    """
    settings = _understand(*texts)
    if settings.unknown:
        raise _unusable(f"There is no {' and no '.join(settings.unknown)}.")
    return settings


def _understand(*texts: bytes) -> Settings:
    try:
        merged: dict[str, object] = {}
        for text in texts:
            for name, table in tomllib.loads(text.decode()).items():
                merged[name] = _over(merged.get(name), table)
        known, unknown = sorted_out(merged, type_info(_Tables))
        tables = msgspec.convert(known, _Tables)
    except (ValueError, TypeError) as problem:
        raise _unusable(str(problem)) from problem
    return Settings(source=tables.source, leave=tables.leave, health=tables.health, unknown=unknown)


def _over(before: object, table: object) -> object:
    return {**before, **table} if isinstance(before, dict) and isinstance(table, dict) else table


def _unusable(details: str) -> UserError:
    return UserError(
        "The settings of the agent cannot be used.",
        details=details,
        resolution=f"Correct the credential {CREDENTIAL}; docs/reference/agent-settings.md has every key.",
    )


def release_root(root: Path, credentials: Path | None) -> bytes:
    """The root of trust of releases (TUF root metadata): the machine's own, or the image's; empty without one."""
    given = credentials / ROOT_CREDENTIAL if credentials else None
    found = next((path for path in (given, root / ROOT) if path and path.is_file()), None)
    return found.read_bytes() if found else b""
