"""Whatever may come up in the agent, told as whose fault it is."""

from __future__ import annotations

from pathlib import Path
from traceback import extract_tb

from bedplate.model.errors import BedplateError, MachineError, OurError, UserError


def unheard(problem: Exception) -> BedplateError:
    if isinstance(problem, ValueError):
        return UserError("What this node is to become cannot be read.", details=str(problem))
    return told(problem)


def told(problem: Exception) -> BedplateError:
    """Whose fault it is. What nobody foresaw is ours, and told with the place where it came up."""
    if isinstance(problem, BedplateError):
        return problem
    if isinstance(problem, OSError):
        advice = "The disk of /var is failing or write-protected: see the kernel's messages."
        return MachineError("A file of the agent cannot be used.", details=str(problem), resolution=advice)
    place = extract_tb(problem.__traceback__)[-1]
    return OurError(
        "The agent met something that it does not know.",
        details=f"{type(problem).__name__}: {problem} ({Path(place.filename).name}:{place.lineno}, {place.name})",
        resolution="It goes on, and tries again. Please report it.",
    )
