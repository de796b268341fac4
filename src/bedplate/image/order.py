"""What is asked for when an image is built, and the name that its answer has in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bedplate.host.files import file_sha256
from bedplate.model.versions import ImageVersion

MAKERS = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class ImageOrder:
    """What to build: the recipe's folder, programs by tool name, the version, the keys and where Debian comes from.

    `keys` is the folder of the user's own pair; without it, the development pair signs. `environment` is the
    user's, for a key on a token. `debug` adds what os/debug.toml names, a shell on the serial console above all.
    """

    recipe: Path
    programs: Mapping[str, Path]
    version: ImageVersion
    mirror: str
    keys: Path | None = None
    root: bytes = b""
    """The root metadata that nodes judge releases by; none goes into the image when it is empty."""
    debug: bool = False
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def wheels(self) -> Path:
        """The lock of the Python packages in the agent: the checkout's own."""
        return self.recipe.parent / "uv.lock"

    @property
    def moment(self) -> datetime:
        """The time that an image tells wherever one is written: the beginning of its version's day."""
        return self.version.begins


def order_key(order: ImageOrder, certificate: Path, packages: Path, agent: Path) -> str:
    """The name of the order's place in the cache: a digest of everything that the image is a function of."""
    summary = hashlib.sha256()
    for part in (str(order.version), packages.name, agent.name, "debug" if order.debug else ""):
        summary.update(f"{part}\0".encode())
    summary.update(b"root.json\0" + order.root)
    for name, path in sorted(order.programs.items()):
        summary.update(f"{name}\0".encode() + file_sha256(path).encode())
    for name, path in [(certificate.name, certificate), *_files(order.recipe, "*"), *_files(MAKERS, "*.py")]:
        summary.update(f"{name}\0".encode() + file_sha256(path).encode())
    return summary.hexdigest()[:16]


def _files(folder: Path, pattern: str) -> Iterable[tuple[str, Path]]:
    paths = sorted(path for path in folder.rglob(pattern) if path.is_file())
    return [(str(path.relative_to(folder)), path) for path in paths]
