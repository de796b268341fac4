"""The present boot: which version runs, and on which machine."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from pathlib import Path

from bedplate.model.versions import ImageVersion


def boot_id(root: Path) -> str:
    """The kernel's own name for this boot, without line break."""
    return (root / "proc/sys/kernel/random/boot_id").read_text().strip()


def running_version(root: Path) -> str:
    """IMAGE_VERSION of os-release(5)."""
    lines = (root / "usr/lib/os-release").read_text().splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values["IMAGE_VERSION"].strip('"')


def built(version: str) -> datetime:
    """When an image was made, the least that the time can be: the beginning of its version's day."""
    return ImageVersion.parse(version).begins


def machine_identity(root: Path) -> str:
    """A name for this machine that tells nobody its machine id, as machine-id(5) asks: keyed, and then shortened."""
    machine = (root / "etc/machine-id").read_text().strip()
    return hmac.new(machine.encode(), b"bedplate.dev/update", hashlib.sha256).hexdigest()[:32]
