"""The QEMU command line of a machine. Pure; every file of the machine is named relative to its folder.

Relative names keep socket paths under the 108 bytes of sun_path wherever the state folder lies.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bedplate.model.errors import UserError

DISK, VARS, CONSOLE, MONITOR, CREDENTIALS = "disk.qcow2", "vars.qcow2", "console.log", "qmp.sock", "credentials"
SNAPSHOT_NODES = ("vars", "disk")
"""The block nodes that make up a machine's state; the first also holds the memory of a snapshot.

It has to be the flash: the board takes it before any device is plugged in, and `-loadvm` looks for
the memory in the first writable node that was taken.
"""

STICK, USB = "stick", "usb"
"""The block node and the device of what is plugged in, and the controller that it is plugged into."""

FW_CFG_PREFIX = "opt/io.systemd.credentials/"
FW_CFG_NAME_LIMIT = 55
PROGRAM = "qemu-system-x86_64"
NAMESPACE = uuid.UUID("e0b1ac2e-8f5e-4f0e-9b5f-4d8f6a0d6c11")


class Accelerator(StrEnum):
    """How guest instructions are carried out: by the processor, or translated one by one."""

    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True, slots=True)
class Firmware:
    """OVMF with Secure Boot: read-only code, and the template of its variable store."""

    code: Path
    variables: Path


@dataclass(frozen=True, slots=True)
class Resources:
    """What one machine is made of. `credentials` are names of files in its credentials folder.

    With `usb` it has a USB 3 controller: not every machine, since each boot has to find it.
    """

    name: str
    tap: str
    mac: str
    memory_mb: int
    cpus: int
    credentials: tuple[str, ...]
    usb: bool = False


def argv(resources: Resources, firmware: Firmware, accelerator: Accelerator, *, snapshot: str = "") -> tuple[str, ...]:
    """The command line, to be run in the machine's folder; `snapshot` is a saved state to start from."""
    return (
        PROGRAM,
        *_board(firmware, accelerator),
        *("-uuid", str(machine_uuid(resources.name, resources.mac))),
        *("-smp", str(resources.cpus)),
        *("-m", str(resources.memory_mb)),
        *_disk(),
        *_network(resources),
        # a system that hangs is reset, which is what this device does unless told otherwise
        *("-device", "i6300esb"),
        *(("-device", f"qemu-xhci,id={USB}") if resources.usb else ()),
        *("-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng"),
        *("-chardev", f"file,id=console,path={CONSOLE},append=on", "-serial", "chardev:console"),
        *("-qmp", f"unix:{MONITOR},server=on,wait=off"),
        *_credentials(resources.credentials),
        *(("-loadvm", snapshot) if snapshot else ()),
    )


def machine_uuid(name: str, mac: str) -> uuid.UUID:
    """The UUID that the board reports. The system takes its machine id from it, so it outlives disk and boot."""
    return uuid.uuid5(NAMESPACE, f"{mac} {name}")


def _board(firmware: Firmware, accelerator: Accelerator) -> Iterable[str]:
    """A q35 board whose flash only System Management Mode may write: what makes Secure Boot secure."""
    return (
        *("-nodefaults", "-no-user-config"),
        *("-display", "none"),
        *("-machine", "q35,smm=on,vmport=off,pflash0=code,pflash1=vars"),
        *("-global", "driver=cfi.pflash01,property=secure,value=on"),
        *("-global", "ICH9-LPC.disable_s3=1"),
        *_processor(accelerator),
        *("-blockdev", f"driver=raw,node-name=code,read-only=on,file.driver=file,file.filename={firmware.code}"),
        *("-blockdev", f"driver=qcow2,node-name=vars,file.driver=file,file.filename={VARS}"),
    )


def _processor(accelerator: Accelerator) -> Iterable[str]:
    if accelerator is Accelerator.KVM:
        return ("-accel", "kvm", "-cpu", "host")
    # five-level page tables cost TCG a fifth look-up at every miss, for memory that no machine here has
    # and a processor that boasts of fast byte strings is given memory to clear byte by byte, which TCG does slowly
    return ("-accel", "tcg,thread=multi", "-cpu", "max,la57=off,erms=off,fsrm=off")


def _disk() -> Iterable[str]:
    return (
        "-blockdev",
        f"driver=qcow2,node-name=disk,discard=unmap,file.driver=file,file.filename={DISK}",
        "-device",
        "virtio-blk-pci,drive=disk,bootindex=0",
    )


def _network(resources: Resources) -> Iterable[str]:
    """A network card that the firmware does not boot from: no option ROM, no PXE."""
    return (
        *("-netdev", f"tap,id=net,ifname={resources.tap},script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=net,mac={resources.mac},romfile="),
        *("-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n"),
        *("-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"),
    )


def _credentials(names: tuple[str, ...]) -> Iterable[str]:
    for name in names:
        yield "-fw_cfg"
        yield f"name={fw_cfg_name(name)},file={CREDENTIALS}/{name}"


def fw_cfg_name(credential: str) -> str:
    """The name by which systemd finds a credential in fw_cfg (systemd.system-credentials(7)).

    Raises `UserError` when the name would not fit, or would be read as QEMU syntax.
    """
    name = FW_CFG_PREFIX + credential
    if len(name) > FW_CFG_NAME_LIMIT or not credential or set(credential) & set(",=/ "):
        raise UserError(
            f"{credential!r} cannot be the name of a credential.",
            resolution=f"Use at most {FW_CFG_NAME_LIMIT - len(FW_CFG_PREFIX)} characters, "
            "none of them a comma, equals sign, slash or space.",
        )
    return name


def create_overlay(image: Path, disk: Path, *, gibibytes: int) -> tuple[str, ...]:
    """The command that makes a disk of which only the differences from `image` take space."""
    return ("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image), str(disk), f"{gibibytes}G")
