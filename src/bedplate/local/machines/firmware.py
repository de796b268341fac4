"""OVMF for Secure Boot: where it lies, and a variable store that trusts one certificate alone.

The certificate is written into the store as PK, KEK and db, so the first boot finds Secure Boot on and
need not enrol and restart. virt-firmware does the writing: it knows the store's format, and OVMF's own
tool can only do it in a boot.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bedplate.host.files import folder_in_one_step
from bedplate.host.run import Runner
from bedplate.local.machines.qemu import Firmware
from bedplate.model.digests import sha256, sha256_of_parts
from bedplate.model.errors import MachineError

FOLDER = Path("/usr/share/OVMF")
CODE, VARIABLES = "OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.fd"
OWNER = "4f0f1e52-9a36-4f0a-8c5d-6d1a1f6ad5c1"
"""The GUID that marks the signatures in the store as ours; any would do (UEFI 2.10, 32.4.1)."""

TEMPLATE = "vars.qcow2"
CACHE_VERSION = "1"


def find_firmware(folder: Path = FOLDER) -> Firmware:
    """The firmware of this computer. Raises `MachineError` when it is not installed."""
    firmware = Firmware(folder / CODE, folder / VARIABLES)
    for path in (firmware.code, firmware.variables):
        if not path.is_file():
            raise MachineError(
                "The firmware for machines with Secure Boot is not there.",
                details=f"{path} is missing.",
                resolution="Install the package ovmf.",
            )
    return firmware


def enrolled_variables(firmware: Firmware, certificate: Path, *, cache: Path, runner: Runner) -> Path:
    """A variable store in which Secure Boot is on and `certificate` (PEM) is the one that is trusted.

    Made once for each certificate and kept in `cache`; the caller copies it. It is a qcow2 file, since
    a machine whose flash is a raw file cannot be saved.
    """
    parts = [
        ("version", CACHE_VERSION),
        ("certificate", sha256(certificate.read_bytes())),
        ("variables", sha256(firmware.variables.read_bytes())),
    ]
    entry = cache / sha256_of_parts(parts)
    if not entry.exists():
        with folder_in_one_step(entry) as scratch:
            raw = scratch / "vars.fd"
            runner.run(_enrol(firmware.variables, certificate, raw), seconds=60)
            convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(scratch / TEMPLATE)]
            runner.run(convert, seconds=60)
            raw.unlink(missing_ok=True)
    return entry / TEMPLATE


def _enrol(variables: Path, certificate: Path, result: Path) -> list[str | Path]:
    return [
        *(sys.executable, "-m", "virt.firmware.vars", "-i", variables, "-o", result, "--sb"),
        *("--set-pk", OWNER, certificate),
        *("--add-kek", OWNER, certificate),
        *("--add-db", OWNER, certificate),
    ]
