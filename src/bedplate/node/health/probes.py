"""A user's own checks of a node, as data: there is no shell on it that could run a script."""

from __future__ import annotations

import msgspec

from bedplate.model.network import address_of, require_port


class _Probe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """`name` is what findings call it."""

    name: str


class HttpProbe(_Probe, frozen=True, tag="http"):
    """Holds while a GET of `url` is answered with `status`."""

    url: str
    status: int = 200

    def __post_init__(self) -> None:
        address_of(self.url)


class TcpProbe(_Probe, frozen=True, tag="tcp"):
    """Holds while a connection to `host` at `port` can be opened."""

    host: str
    port: int

    def __post_init__(self) -> None:
        if not self.host or any(each.isspace() or not each.isprintable() for each in self.host):
            raise ValueError(f"{self.host!r} is no name of a host and no address")
        require_port(self.port)


class UnitProbe(_Probe, frozen=True, tag="unit"):
    """Holds while PID 1 says that `unit` is in `state` (`active`, `inactive`; systemctl(1), is-active)."""

    unit: str
    state: str = "active"


class FileProbe(_Probe, frozen=True, tag="file"):
    """Holds while `path` is there, or while it is not."""

    path: str
    there: bool = True


Probe = HttpProbe | TcpProbe | UnitProbe | FileProbe
