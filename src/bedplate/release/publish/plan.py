"""What may be done to channels and releases, and why not: values in, documents or an error with its reason out."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from bedplate.model.errors import UserError
from bedplate.model.versions import ImageVersion
from bedplate.wire.release import Channel, Release, Withdrawal, Withdrawn

HISTORY = 20
"""How many earlier versions a channel remembers."""


def require_new(release: Release, published: Collection[str]) -> None:
    """A version is published once. What is wrong with it is mended by the next version."""
    if release.version in published:
        raise UserError(
            f"{release.version} is published already.",
            details="A published version never changes: nodes and people know it by its name.",
            resolution="Build another version, with `bedplate image build --version`, and publish that.",
        )
    if release.minimum and ImageVersion.parse(release.minimum) >= ImageVersion.parse(release.version):
        raise UserError(f"The minimum {release.minimum} is not older than {release.version}.")
    gone = sorted({p.base for p in release.payloads if p.base} - set(published))
    if gone:
        raise UserError(
            f"Deltas are made against versions that are not published: {', '.join(gone)}.",
            resolution="Publish those first, or leave their deltas out.",
        )


def require_in_time(version: str, *, until: datetime) -> None:
    """A version's day comes before `until`, when a timestamp that is signed now expires.

    Where it runs, the time cannot be earlier than its day, so that machines without a clock have one to go by.
    """
    begins = ImageVersion.parse(version).begins
    if begins >= until:
        raise UserError(
            f"The day of {version} is too far ahead.",
            details=f"Nodes that run it take {begins:%Y-%m-%d} for the least that the time can be. A timestamp that is "
            f"signed now holds until {until:%Y-%m-%d %H:%M} UTC: they would find it expired, and not be updated.",
            resolution="Build it again with today's day: `bedplate image build --version`.",
        )


def promoted(
    name: str, version: str, *, channel: Channel | None, withdrawn: Withdrawn, now: datetime, allow_rollback: bool
) -> Channel | None:
    """The channel pointing to `version`, or `None` when it does so already."""
    found = withdrawn.find(version)
    if found is not None:
        raise UserError(f"{version} was withdrawn: {found.reason}", resolution="Promote another version.")
    if channel is None:
        return _channel(name, version, now, ())
    if channel.version == version:
        return None
    if ImageVersion.parse(version) < ImageVersion.parse(channel.version) and not allow_rollback:
        raise UserError(
            f"{name} points to {channel.version}, which is newer than {version}.",
            resolution="Channels move forward. With --allow-rollback this one moves back, but nodes on a newer version "
            f"stay there: tell each of them with `bedplate node update NAME --version {version}`.",
        )
    return _channel(name, version, now, (channel.version, *channel.history)[:HISTORY])


def withdrawn_with(withdrawn: Withdrawn, version: str, *, reason: str, now: datetime) -> Withdrawn:
    """The withdrawals with one more. Raises `UserError` when it is among them already, or there is no reason."""
    found = withdrawn.find(version)
    if found is not None:
        raise UserError(f"{version} was withdrawn at {found.at:%Y-%m-%d %H:%M} UTC: {found.reason}")
    if not reason.strip():
        raise UserError("A withdrawal needs a reason.", resolution="Say what is wrong: nodes show it to people.")
    more = [*withdrawn.versions, Withdrawal(version=version, reason=reason.strip(), at=now)]
    return Withdrawn(versions=tuple(sorted(more, key=lambda each: ImageVersion.parse(each.version))))


def _channel(name: str, version: str, now: datetime, history: tuple[str, ...]) -> Channel:
    try:
        return Channel(name=name, version=version, since=now, history=history)
    except ValueError as problem:
        raise UserError(
            f"Channel {name!r} cannot point to {version}.",
            details=str(problem),
            resolution="Write MINOR/NAME, such as 1.37/stable; the minor is that of the version.",
        ) from problem
