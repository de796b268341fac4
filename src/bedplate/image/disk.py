"""From a filled /usr to a disk: erofs, verity, signature, UKI, partitions. All with the programs of the tools tree."""

from __future__ import annotations

import base64
import json
import os
import shutil
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bedplate.host.files import file_sha256
from bedplate.image.initrd import initrd
from bedplate.image.keys import SigningPair
from bedplate.image.stage import Staged
from bedplate.image.tools import Tools
from bedplate.model.digests import sha256
from bedplate.wire.verity import identities_of

NAMESPACE = uuid.UUID("7b1a4e0c-5f1d-4c5e-9d55-0f6f2c0b7ed1")
SIGNATURE_BYTES = 16384
TRIES = 3
LOADER = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"


@dataclass(frozen=True, slots=True)
class Verity:
    """What dm-verity knows of /usr: the root hash (hex) and its detached PKCS#7 signature (DER)."""

    root_hash: str
    signature: bytes

    @property
    def data_uuid(self) -> uuid.UUID:
        return identities_of(self.root_hash)[0]

    @property
    def hash_uuid(self) -> uuid.UUID:
        return identities_of(self.root_hash)[1]


def make_erofs(out: Path, *, tools: Tools, version: str) -> Path:
    """usr.erofs of out/root/usr: not compressed, times at zero, owned by root; a function of the files alone."""
    identity = uuid.uuid5(NAMESPACE, version)
    argv = [
        "mkfs.erofs",
        "--quiet",
        "--all-root",
        "-T0",
        f"-U{identity}",
        "-x-1",
        "/mnt/usr.erofs",
        "/mnt/root/usr",
    ]
    tools.run(out, argv)
    return out / "usr.erofs"


def make_verity(out: Path, pair: SigningPair, *, tools: Tools) -> Verity:
    """usr.verity and usr.verity-sig for out/usr.erofs."""
    salt = file_sha256(out / "usr.erofs")
    tools.run(
        out,
        ["veritysetup", "format", "/mnt/usr.erofs", "/mnt/usr.verity", f"--salt={salt}"]
        + [f"--uuid={uuid.uuid5(NAMESPACE, salt)}", "--root-hash-file=/mnt/roothash"],
    )
    verity = Verity((out / "roothash").read_text().strip(), sign_root_hash(out, pair, tools=tools))
    (out / "usr.verity-sig").write_bytes(signature_partition(verity, fingerprint(pair.certificate)))
    return verity


def sign_root_hash(out: Path, pair: SigningPair, *, tools: Tools) -> bytes:
    """The signature over out/roothash in the form that the kernel checks; db.crt lies in `out` afterwards."""
    shutil.copyfile(pair.certificate, out / "db.crt")
    with pair.key_lent_to(out):
        tools.run(
            out,
            ["openssl", "smime", "-sign", "-binary", "-noattr", "-nocerts", "-in", "/mnt/roothash"]
            + ["-signer", "/mnt/db.crt", "-inkey", "/mnt/db.key", "-outform", "der", "-out", "/mnt/roothash.p7s"],
        )
    return (out / "roothash.p7s").read_bytes()


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


def command_line(words: str, verity: Verity) -> str:
    """The kernel command line: part of the signed UKI, so the root hash and its signature cannot be exchanged.

    `words` is the text of os/cmdline, one word a line.
    """
    fixed = [word for word in words.splitlines() if word and not word.startswith("#")]
    signature = base64.b64encode(verity.signature).decode()
    options = f"systemd.verity_usr_options=panic-on-corruption,root-hash-signature=base64:{signature}"
    return " ".join([*fixed, f"usrhash={verity.root_hash}", options])


def make_uki(
    staged: Staged,
    recipe: Path,
    out: Path,
    *,
    kernel: Path,
    verity: Verity,
    pair: SigningPair,
    tools: Tools,
    moment: datetime,
) -> Path:
    """uki.efi: kernel, initrd and command line in one signed file (UAPI Group, Unified Kernel Image).

    Makes loader.efi, systemd-boot with the same signature, as well; db.crt lies in `out` already.
    """
    (out / "initrd.cpio").write_bytes(initrd(staged, staged.rules.initrd, tools=tools))
    tools.run(out, ["zstd", "--quiet", "--force", "-3", "/mnt/initrd.cpio", "-o", "/mnt/initrd.zst"])
    (out / "cmdline").write_text(command_line((recipe / "cmdline").read_text(), verity))
    shutil.copyfile(kernel, out / "vmlinuz")
    shutil.copyfile(staged.root / "usr/lib/os-release", out / "os-release")
    pack_uki(out, pair, kernel=staged.kernel, tools=tools, moment=moment)
    with pair.key_lent_to(out):
        tools.run(
            out,
            [
                *stopped_at(moment),
                "sbsign",
                "--key=/mnt/db.key",
                "--cert=/mnt/db.crt",
                "--output=/mnt/loader.efi",
                LOADER,
            ],
        )
    return out / "uki.efi"


def stopped_at(moment: datetime) -> list[str]:
    """Words before a signing program: it writes the time into the signature, and asks nothing but the clock for it."""
    return ["faketime", "-f", f"{moment:%Y-%m-%d %H:%M:%S}"]


def pack_uki(out: Path, pair: SigningPair, *, kernel: str, tools: Tools, moment: datetime) -> Path:
    """uki.efi of vmlinuz, initrd.zst, cmdline and os-release in `out`, signed by the pair, whose db.crt is there."""
    parts = ["--linux=/mnt/vmlinuz", "--initrd=/mnt/initrd.zst", "--cmdline=@/mnt/cmdline"]
    names = ["--os-release=@/mnt/os-release", f"--uname={kernel}"]
    keys = ["--secureboot-private-key=/mnt/db.key", "--secureboot-certificate=/mnt/db.crt"]
    at = stopped_at(moment)
    with pair.key_lent_to(out):
        tools.run(out, [*at, "ukify", "build", *parts, *names, "--signtool=sbsign", *keys, "--output=/mnt/uki.efi"])
    return out / "uki.efi"


def make_disk(recipe: Path, out: Path, verity: Verity, *, tools: Tools, version: str, moment: datetime) -> Path:
    """disk.raw: the partitions of the A slot and an ESP; the machine adds the others at its first boot."""
    shutil.copytree(recipe / "esp", out / "esp")
    for name, source in (("EFI/BOOT/BOOTX64.EFI", "loader.efi"), (f"EFI/Linux/{version}+{TRIES}.efi", "uki.efi")):
        (out / "esp" / name).parent.mkdir(parents=True)
        shutil.copyfile(out / source, out / "esp" / name)
    seconds = int(moment.timestamp())
    for path in [out / "esp", *(out / "esp").rglob("*")]:
        os.utime(path, (seconds, seconds))
    shutil.copytree(recipe / "repart", out / "repart.d")
    for name, identity in (("20-usr.conf", verity.data_uuid), ("21-verity.conf", verity.hash_uuid)):
        (out / "repart.d" / f"{name}.d").mkdir()
        (out / "repart.d" / f"{name}.d" / "uuid.conf").write_text(f"[Partition]\nUUID={identity}\n")
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
        + [f"--seed={uuid.uuid5(NAMESPACE, verity.root_hash)}", "--offline=yes", "--no-pager", "/mnt/disk.raw"],
        env={"SOURCE_DATE_EPOCH": str(seconds)},
    )
    for name in ("repart.d", "esp"):
        shutil.rmtree(out / name)
    return out / "disk.raw"
