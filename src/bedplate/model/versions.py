"""Versions of Kubernetes and of node images, read, written and put in order.

An image version is `Bedplate-1.37-amd64-202611.24.0`: SKU, Kubernetes minor, architecture, and the
day it was made with a count for that day.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from bedplate.model.errors import UserError

SKU = "Bedplate"
ARCHITECTURES = ("amd64", "arm64")
_NUMBER = r"(0|[1-9][0-9]*)"
_KUBERNETES = re.compile(rf"v?{_NUMBER}\.{_NUMBER}(?:\.{_NUMBER})?", re.ASCII)
_IMAGE = re.compile(
    rf"{SKU}-{_NUMBER}\.{_NUMBER}-([a-z0-9]+)-([0-9]{{4}})([0-9]{{2}})\.([0-9]{{2}})\.{_NUMBER}", re.ASCII
)


@dataclass(frozen=True, slots=True, order=True)
class KubernetesMinor:
    """A minor version of Kubernetes: `1.37`. One image serves exactly one."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> KubernetesMinor:
        """Read `1.37`, or the minor of `1.37.2` or `v1.37.2`; `UserError` for anything else."""
        match = _KUBERNETES.fullmatch(text)
        if match is None:
            raise UserError(f"{text!r} is not a version of Kubernetes.", resolution="Write it as 1.37 or 1.37.2.")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, slots=True, order=True)
class ImageVersion:
    """The version of a node image; later ones are greater, first by minor, then by day and count."""

    kubernetes: KubernetesMinor
    day: date
    count: int
    architecture: str

    @classmethod
    def parse(cls, text: str) -> ImageVersion:
        """Read the one way it is written; `UserError` for anything else."""
        match = _IMAGE.fullmatch(text)
        if match is None or match[3] not in ARCHITECTURES:
            raise _not_an_image(text)
        try:
            day = date(int(match[4]), int(match[5]), int(match[6]))
        except ValueError as problem:
            raise _not_an_image(text) from problem
        minor = KubernetesMinor(int(match[1]), int(match[2]))
        return cls(kubernetes=minor, day=day, count=int(match[7]), architecture=match[3])

    @property
    def begins(self) -> datetime:
        """The beginning of its day, in UTC: where it runs, the time cannot be earlier."""
        return datetime.combine(self.day, time(), UTC)

    def __str__(self) -> str:
        made = f"{self.day.year:04}{self.day.month:02}.{self.day.day:02}.{self.count}"
        return f"{SKU}-{self.kubernetes}-{self.architecture}-{made}"


def next_made(made: str, today: date) -> str:
    """What follows `202611.24.0` (day and count) for an image made `today`; it never goes back."""
    last = ImageVersion.parse(f"{SKU}-0.0-amd64-{made}")
    day, count = (today, 0) if today > last.day else (last.day, last.count + 1)
    return str(dataclasses.replace(last, day=day, count=count)).rpartition("-")[2]


def require_same_minor(orchestrator: str, image: str) -> None:
    """A pool's orchestratorVersion selects the minor; an image of another minor is a `UserError`."""
    wanted, offered = KubernetesMinor.parse(orchestrator), ImageVersion.parse(image)
    if wanted != offered.kubernetes:
        raise UserError(
            f"{image} carries Kubernetes {offered.kubernetes}, but orchestratorVersion is {orchestrator}.",
            resolution=f"Choose an image of {SKU}-{wanted}, or orchestratorVersion {offered.kubernetes}.",
        )


def _not_an_image(text: str) -> UserError:
    example = f"{SKU}-1.37-amd64-202611.24.0"
    return UserError(f"{text!r} is not the version of a node image.", resolution=f"Write it as {example}.")
