"""The present boot: which version runs, what the boot loader counts it as, and what else the loader could start."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
"""The vendor of systemd-boot's EFI variables (the Boot Loader Interface)."""
COUNTED = f"sys/firmware/efi/efivars/LoaderBootCountPath-{LOADER}"
ATTRIBUTES = 4
"""Bytes before a variable's value in efivarfs."""


def boot_id(root: Path) -> str:
    """The kernel's own name for this boot, without line break."""
    return (root / "proc/sys/kernel/random/boot_id").read_text().strip()


def running_version(root: Path) -> str:
    """IMAGE_VERSION of os-release(5)."""
    lines = (root / "usr/lib/os-release").read_text().splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values["IMAGE_VERSION"].strip('"')


def machine_identity(root: Path) -> str:
    """A name for this machine that tells nobody its machine id, as machine-id(5) asks: keyed, and then shortened."""
    machine = (root / "etc/machine-id").read_text().strip()
    return hmac.new(machine.encode(), b"bedplate.dev/update", hashlib.sha256).hexdigest()[:32]


def counted_path(root: Path) -> str:
    """The file on the ESP by whose name the loader counts this boot; empty when the version is blessed already."""
    try:
        value = (root / COUNTED).read_bytes()[ATTRIBUTES:]
    except OSError:
        return ""
    return value.decode("utf-16-le", errors="replace").rstrip("\0").replace("\\", "/")


def others_to_boot(root: Path, counted: str) -> tuple[str, ...]:
    """The names of the UKIs on the ESP besides `counted` that the loader has not given up (tries left, or blessed)."""
    folder = root / "efi/EFI/Linux"
    names = sorted(path.name for path in folder.glob("*.efi")) if folder.is_dir() else []
    return tuple(name for name in names if name != Path(counted).name and tries_left(name) != 0)


def tries_left(name: str) -> int | None:
    """Of `VERSION+LEFT-DONE.efi` (the Boot Loader Specification's boot counting); None for a name without a counter."""
    _, plus, counter = name.removesuffix(".efi").rpartition("+")
    left = counter.partition("-")[0]
    return int(left) if plus and left.isdigit() else None
