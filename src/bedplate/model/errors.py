"""One error type for each party at fault: the user, this machine, a peer, ourselves.

Everything that Bedplate raises on purpose is one of the four, so that whoever catches it knows
who has to act. A new type is worth having only where somebody catches it.
"""

from __future__ import annotations


class BedplateError(Exception):
    """Something went wrong in a way that we foresaw.

    `brief` is one sentence on what happened, `details` are facts for whoever looks deeper (may be
    several lines), `resolution` is what the reader can do now. `exit_code` is what the CLI ends with.
    """

    exit_code = 70
    fault = "Bedplate"

    def __init__(self, brief: str, *, details: str = "", resolution: str = "") -> None:
        super().__init__(brief)
        self.brief = brief
        self.details = details
        self.resolution = resolution

    def __str__(self) -> str:
        return "\n".join(part for part in (self.brief, self.details, self.resolution) if part)


class UserError(BedplateError):
    """The request cannot be carried out as it was written."""

    exit_code = 2
    fault = "the request"


class MachineError(BedplateError):
    """The machine at hand lacks something: a program, space, a port, a permission."""

    exit_code = 3
    fault = "this machine"


class PeerError(BedplateError):
    """Another party did not answer, or answered wrongly: a registry, a server, a node."""

    exit_code = 4
    fault = "a peer"


class OurError(BedplateError):
    """Bedplate broke one of its own promises; please report it."""

    exit_code = 70
    fault = "Bedplate"


def briefly(problem: BedplateError) -> str:
    """What happened and its details in one line."""
    return " ".join(f"{problem.brief} {problem.details}".split())
