"""What a mirror did, in words: one error for each way to be wrong or to lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from traceback import extract_tb

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadHTTPError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.serialization import DeserializationError

from bedplate.model.errors import BedplateError, PeerError, UserError
from bedplate.release.trust.moment import Moment

ANOTHER = "Use another mirror, and tell whoever runs this one."


class ReleaseWithdrawn(UserError):
    """The version was withdrawn by its publisher; `reason` is theirs."""

    def __init__(self, version: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{version} was withdrawn.", details=reason, resolution="Choose another version.")


def refusal(mirror: str, role: str, problem: Exception, moment: Moment) -> PeerError:
    """What to tell when metadata of `role` from `mirror` was refused, but for missing signatures."""
    match problem:
        case ExpiredMetadataError():
            counts = f"The time that counts is {moment.at:%Y-%m-%d %H:%M} UTC."
            return PeerError(
                f"{mirror} stands still: its {role} has expired.",
                details=f"{problem}. {counts} {moment.stands_in}".strip(),
                resolution="Look at this machine's clock. If it is right: the mirror hides what is new (freeze), "
                "or its publisher has to run `bedplate release refresh`.",
            )
        case BadVersionNumberError():
            brief = f"{mirror} offers an older state than was seen before: its {role} went back (rollback)."
        case LengthOrHashMismatchError():
            brief = f"{mirror} mixes states: its {role} is not the one that belongs to the others (mix-and-match)."
        case DeserializationError():
            brief = f"{mirror} has a {role} that cannot be read."
        case DownloadHTTPError():
            brief = f"{mirror} lacks the {role}."
        case RepositoryError():
            brief = f"{mirror} has a {role} that was refused."
        case _:
            brief = f"The {role} of {mirror} cannot be had."
    return PeerError(brief, details=f"{problem} {problem.__cause__ or ''}".strip(), resolution=ANOTHER)


def unsigned(
    mirror: str, role: str, data: bytes, delegator: Root | Targets, problem: UnsignedMetadataError
) -> PeerError:
    """Whether nobody known signed it, or too few of those who are."""
    document = Metadata[Targets].from_bytes(data)
    result = delegator.get_verification_result(role, document.signed_bytes, document.signatures)
    if not result.signed:
        brief = f"{mirror} has a {role} that no trusted key has signed."
    elif result.missing:
        brief = f"{mirror} has a {role} with too few signatures: {len(result.signed)} of {result.threshold}."
    else:
        brief = f"{mirror} has a new {role} that its own keys have not signed."
    return PeerError(brief, details=str(problem), resolution=ANOTHER)


def of_mirror(mirror: str, problem: Exception) -> PeerError:
    """What came of asking one mirror, whatever it was: nothing about one may keep the others from being asked."""
    if isinstance(problem, PeerError):
        return problem
    if isinstance(problem, BedplateError):
        return PeerError(problem.brief, details=problem.details, resolution=problem.resolution)
    place = extract_tb(problem.__traceback__)[-1]
    return PeerError(
        f"{mirror} does what nobody foresaw.",
        details=f"{type(problem).__name__}: {problem} ({Path(place.filename).name}:{place.lineno}, {place.name})",
        resolution=f"{ANOTHER} Please report it.",
    )


def no_mirror(problems: Sequence[PeerError]) -> PeerError:
    """The one error, or one that tells all of them."""
    if len(problems) == 1:
        return problems[0]
    lines = [line for problem in problems for line in (problem.brief, *problem.details.splitlines())]
    return PeerError(
        "No mirror can be used.",
        details="\n".join(lines),
        resolution="\n".join(dict.fromkeys(problem.resolution for problem in problems if problem.resolution)),
    )
