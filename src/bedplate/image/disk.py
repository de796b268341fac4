"""From a filled /usr to a disk: erofs, verity, signature, UKI, partitions. All with the programs of the tools tree."""

from __future__ import annotations

import base64
import json
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from bedplate.image.initrd import initrd
from bedplate.image.keys import SigningPair
from bedplate.image.stage import Staged
from bedplate.image.tools import Tools
from bedplate.image.usr import UsrRules
from bedplate.model.digests import sha256

NAMESPACE = uuid.UUID("7b1a4e0c-5f1d-4c5e-9d55-0f6f2c0b7ed1")
SIGNATURE_BYTES = 16384
TRIES = 3
COMMAND_LINE = (
    "root=tmpfs",
    "rootfstype=tmpfs",
    "rootflags=mode=0755,size=10%,nodev,nosuid,noexec",
    "mount.usr=/dev/mapper/usr",
    "mount.usrfstype=erofs",
    "mount.usrflags=ro,nodev,nosuid",
    "dm_verity.require_signatures=1",
    "module.sig_enforce=1",
    "lockdown=integrity",
    "systemd.machine_id=firmware",
    "systemd.condition_first_boot=false",
    "systemd.log_color=no",
    "systemd.show_status=yes",
    "console=tty0",
    "console=ttyS0,115200",
    "panic=10",
    "quiet",
    "loglevel=4",
    "audit=0",
)


@dataclass(frozen=True, slots=True)
class Verity:
    """What dm-verity knows of /usr: the root hash (hex) and its detached PKCS#7 signature (DER)."""

    root_hash: str
    signature: bytes

    @property
    def data_uuid(self) -> uuid.UUID:
        """The identity of the data partition (Discoverable Partitions Specification): the hash's first 128 bits."""
        return uuid.UUID(hex=self.root_hash[:32])

    @property
    def hash_uuid(self) -> uuid.UUID:
        return uuid.UUID(hex=self.root_hash[-32:])


def make_erofs(out: Path, *, tools: Tools, version: str) -> Path:
    """usr.erofs: not compressed, times at zero, owned by root; a function of the files alone."""
    identity = uuid.uuid5(NAMESPACE, version)
    argv = [
        "mkfs.erofs",
        "--quiet",
        "--all-root",
        "-T0",
        f"-U{identity}",
        "-x-1",
        "/mnt/out/usr.erofs",
        "/mnt/root/usr",
    ]
    tools.run(out.parent, argv)
    return out / "usr.erofs"


def make_verity(out: Path, pair: SigningPair, *, tools: Tools) -> Verity:
    """usr.verity and usr.verity-sig for out/usr.erofs."""
    salt = sha256((out / "usr.erofs").read_bytes())
    tools.run(
        out,
        ["veritysetup", "format", "/mnt/usr.erofs", "/mnt/usr.verity", f"--salt={salt}"]
        + [f"--uuid={uuid.uuid5(NAMESPACE, salt)}", "--root-hash-file=/mnt/roothash"],
    )
    root_hash = (out / "roothash").read_text().strip()
    shutil.copyfile(pair.key, out / "db.key")
    shutil.copyfile(pair.certificate, out / "db.crt")
    (out / "db.key").chmod(0o600)
    try:
        tools.run(
            out,
            [
                "openssl",
                "smime",
                "-sign",
                "-binary",
                "-noattr",
                "-nocerts",
                "-in",
                "/mnt/roothash",
                "-signer",
                "/mnt/db.crt",
            ]
            + ["-inkey", "/mnt/db.key", "-outform", "der", "-out", "/mnt/roothash.p7s"],
        )
    finally:
        (out / "db.key").unlink()
    verity = Verity(root_hash, (out / "roothash.p7s").read_bytes())
    (out / "usr.verity-sig").write_bytes(signature_partition(verity, fingerprint(pair.certificate)))
    return verity


def fingerprint(certificate: Path) -> str:
    body = "".join(line for line in certificate.read_text().splitlines() if not line.startswith("-"))
    return sha256(base64.b64decode(body))


def signature_partition(verity: Verity, certificate_fingerprint: str) -> bytes:
    """The content of a verity signature partition (Discoverable Partitions Specification)."""
    fields = {
        "rootHash": verity.root_hash,
        "certificateFingerprint": certificate_fingerprint,
        "signature": base64.b64encode(verity.signature).decode(),
    }
    return json.dumps(fields).encode().ljust(SIGNATURE_BYTES, b"\0")


def command_line(verity: Verity, *, debug: bool = False) -> str:
    """The kernel command line: part of the signed UKI, so the root hash and its signature cannot be exchanged."""
    signature = base64.b64encode(verity.signature).decode()
    options = f"systemd.verity_usr_options=panic-on-corruption,root-hash-signature=base64:{signature}"
    rest = [word for word in COMMAND_LINE if not (debug and word in {"quiet", "loglevel=4"})]
    return " ".join([*rest, f"usrhash={verity.root_hash}", options])


def make_uki(
    staged: Staged,
    rules: UsrRules,
    out: Path,
    kernel: Path,
    verity: Verity,
    pair: SigningPair,
    *,
    tools: Tools,
) -> Path:
    """uki.efi: kernel, initrd and command line in one signed file (UAPI Group, Unified Kernel Image)."""
    (out / "initrd.cpio").write_bytes(initrd(staged, rules.initrd))
    tools.run(out, ["zstd", "--quiet", "--force", "-3", "/mnt/initrd.cpio", "-o", "/mnt/initrd.zst"])
    (out / "cmdline").write_text(command_line(verity))
    shutil.copyfile(kernel, out / "vmlinuz")
    shutil.copyfile(staged.root / "usr/lib/os-release", out / "os-release")
    shutil.copyfile(pair.key, out / "db.key")
    try:
        tools.run(
            out,
            ["ukify", "build", "--linux=/mnt/vmlinuz", "--initrd=/mnt/initrd.zst", "--cmdline=@/mnt/cmdline"]
            + ["--os-release=@/mnt/os-release", f"--uname={staged.kernel}", "--signtool=sbsign"]
            + [
                "--secureboot-private-key=/mnt/db.key",
                "--secureboot-certificate=/mnt/db.crt",
                "--output=/mnt/uki.efi",
            ],
        )
        loader = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"
        tools.run(out, ["sbsign", "--key=/mnt/db.key", "--cert=/mnt/db.crt", "--output=/mnt/loader.efi", loader])
    finally:
        (out / "db.key").unlink()
    return out / "uki.efi"


def make_disk(out: Path, verity: Verity, *, tools: Tools, version: str) -> Path:
    """disk.raw: the partitions of the A slot and an ESP; the machine adds the others at its first boot."""
    esp = out / "esp"
    for name, source in {
        "EFI/BOOT/BOOTX64.EFI": "loader.efi",
        f"EFI/Linux/{version}+{TRIES}.efi": "uki.efi",
    }.items():
        (esp / name).parent.mkdir(parents=True, exist_ok=True)
        (out / source).replace(esp / name) if source == "loader.efi" else shutil.copyfile(out / source, esp / name)
    (esp / "loader").mkdir(exist_ok=True)
    (esp / "loader/loader.conf").write_text("timeout 0\nsecure-boot-enroll off\neditor no\n")
    definitions = out / "repart.d"
    definitions.mkdir(exist_ok=True)
    for name, lines in partitions(verity).items():
        (definitions / name).write_text("[Partition]\n" + "".join(f"{line}\n" for line in lines))
    tools.run(
        out,
        [
            "systemd-repart",
            "--empty=create",
            "--size=auto",
            "--dry-run=no",
            "--definitions=/mnt/repart.d",
            "--root=/mnt",
        ]
        + [
            f"--seed={uuid.uuid5(NAMESPACE, verity.root_hash)}",
            "--offline=yes",
            "--no-pager",
            "/mnt/disk.raw",
        ],
        env={"SOURCE_DATE_EPOCH": "0"},
    )
    for name in ("repart.d", "esp"):
        shutil.rmtree(out / name)
    return out / "disk.raw"


def partitions(verity: Verity) -> dict[str, tuple[str, ...]]:
    """Definitions for the disk that is built; os/usr/lib/repart.d holds those of the machine."""
    return {
        "10-esp.conf": (
            "Type=esp",
            "Label=esp",
            "Format=vfat",
            "CopyFiles=/esp:/",
            "SizeMinBytes=1G",
            "SizeMaxBytes=1G",
        ),
        "20-usr.conf": (
            "Type=usr",
            "Label=usr-a",
            "CopyBlocks=/usr.erofs",
            f"UUID={verity.data_uuid}",
            "ReadOnly=yes",
        )
        + ("SizeMinBytes=2G", "SizeMaxBytes=2G"),
        "21-verity.conf": (
            "Type=usr-verity",
            "Label=usr-a-verity",
            "CopyBlocks=/usr.verity",
            f"UUID={verity.hash_uuid}",
        )
        + ("ReadOnly=yes", "SizeMinBytes=64M", "SizeMaxBytes=64M"),
        "22-sig.conf": (
            "Type=usr-verity-sig",
            "Label=usr-a-verity-sig",
            "CopyBlocks=/usr.verity-sig",
            "ReadOnly=yes",
        ),
    }
