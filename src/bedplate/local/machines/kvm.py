"""Whether machines can run on the processor itself. Asking /dev/kvm is not enough, so a guest is run.

The guest is a few instructions at the reset vector. It uses the floating-point unit, at which the
firmware stops where KVM is only emulated, on a board with System Management Mode, which Secure Boot
needs; then it writes to QEMU's exit port.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from bedplate.host.run import Runner
from bedplate.local.machines.qemu import PROGRAM, Accelerator
from bedplate.model.errors import MachineError

LIMIT_SECONDS = 2.5
"""The guest takes a tenth of that. With what preflight tries, it stays within the 5 s that people wait."""
TCG_COST = "everything in a machine takes some ten times as long"

RESET_VECTOR = bytes.fromhex(
    "9b dbe3"  # fwait; fninit
    "baf400"  # mov dx, 0xf4
    "b010"  # mov al, 0x10
    "ee"  # out dx, al
    "f4"  # hlt
    "ebfd"  # jmp back to hlt
)
PASSED = 0x10 << 1 | 1
"""What isa-debug-exit makes of the value 0x10."""


@dataclass(frozen=True, slots=True)
class Acceleration:
    """Which accelerator machines get, and why, in words for people."""

    kind: Accelerator
    reason: str


def probe_image() -> bytes:
    """64 KiB of firmware that end with the instructions at the reset vector, 16 bytes below 4 GiB."""
    return RESET_VECTOR.ljust(16, b"\xf4").rjust(64 * 1024, b"\0")


def choose_acceleration(runner: Runner, *, device: Path = Path("/dev/kvm")) -> Acceleration:
    """KVM where the probe guest ran, TCG otherwise. Takes `LIMIT_SECONDS` at most."""
    if not device.exists():
        return _translated(f"there is no {device}")
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "probe.bin"
        image.write_bytes(probe_image())
        try:
            done = runner.run(_probe(image), ok=range(-64, 256), seconds=LIMIT_SECONDS)
        except MachineError as problem:
            return _translated(f"the probe guest did not end: {problem.brief}")
    if done.code != PASSED:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return _translated(f"the probe guest did not run: {said[-1] if said else f'code {done.code}'}")
    return Acceleration(Accelerator.KVM, "a probe guest ran on the processor")


def _translated(why: str) -> Acceleration:
    return Acceleration(Accelerator.TCG, f"{why}; {TCG_COST}")


def _probe(image: Path) -> list[str | Path]:
    return [
        *(PROGRAM, "-nodefaults", "-no-user-config", "-display", "none"),
        *("-accel", "kvm", "-cpu", "host", "-machine", "q35,smm=on", "-m", "64"),
        *("-bios", image, "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"),
    ]
