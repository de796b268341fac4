"""Which time counts when expiry is judged, on machines whose clock may be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Timestamp

from bedplate.release.trust.layout import MADE

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """The time that counts; `stands_in` says what it is instead of the clock's, and is empty when it is the clock's."""

    at: datetime
    stands_in: str = ""


def moment(clock: datetime, *, seen: datetime, built: datetime) -> Moment:
    """The latest of the clock, the newest time that a trusted signer wrote (`seen`) and the image's own (`built`).

    It cannot be earlier than what was signed or built before, so a clock behind these is wrong: a machine without a
    battery, or one at its first boot. A clock that is ahead cannot be told from a repository that stands still.
    """
    latest = max(clock, seen, built)
    if latest == clock:
        return Moment(clock)
    source = "the newest time that the repository signed" if latest == seen else "the time when the image was made"
    return Moment(latest, f"The clock says {clock:%Y-%m-%d %H:%M} UTC, so {source} stands in.")


def made_of(timestamp: Timestamp) -> datetime:
    """When it was signed, by the signer's clock. Raises `RepositoryError` for what is no time."""
    text = timestamp.unrecognized_fields.get(MADE)
    if text is None:
        return LONG_AGO
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as problem:
        raise RepositoryError(f"Its {MADE} is no time: {str(text)[:40]!r}.") from problem
