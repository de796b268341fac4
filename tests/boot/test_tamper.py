"""A machine boots what our key signed, byte for byte, or it does not boot and says why."""

import re
import shutil
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bedplate.cli.components import CHECKOUT
from bedplate.cli.context import places
from bedplate.image.build import Image
from bedplate.image.disk import pack_uki, sign_root_hash
from bedplate.image.keys import SigningPair, development_pair
from bedplate.image.tools import Tools
from bedplate.model.reading import InMemory
from bedplate.testing.vm.disks import AlteredImage
from bedplate.testing.vm.lab import Lab
from bedplate.wire.pe import read_sections

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86 is not installed"),
]

MOMENT = datetime(2026, 11, 24, tzinfo=UTC)
KERNEL_STARTED = "Booting initrd"
SECONDS = 300.0
"""More than any boot takes without KVM on a busy computer; a wait ends earlier when anything is wrong."""


@pytest.fixture
def our_pair(tools: Tools) -> SigningPair:
    return development_pair(places().state / "keys/development", tools)


@pytest.fixture
def other_pair(tools: Tools, tmp_path: Path) -> SigningPair:
    """A pair with the same name in its certificate, as an attacker would choose."""
    return development_pair(tmp_path / "other", tools)


def unpack_uki(image: Image, folder: Path) -> str:
    """Lay out the parts of the image's UKI as `pack_uki` wants them; returns the kernel's version."""
    uki = (image.folder / "uki.efi").read_bytes()
    sections = {name: uki[each.offset : each.end] for name, each in read_sections(InMemory(uki)).items()}
    files = {"vmlinuz": ".linux", "initrd.zst": ".initrd", "cmdline": ".cmdline", "os-release": ".osrel"}
    folder.mkdir()
    for name, section in files.items():
        (folder / name).write_bytes(sections[section])
    (folder / "roothash").write_text(image.manifest.root_hash)
    return sections[".uname"].decode()


def uki_with_signatures(
    image: Image, folder: Path, *, of_root_hash: SigningPair, of_uki: SigningPair, tools: Tools
) -> bytes:
    """The image's UKI made again, with the root hash signed by one pair and the whole by another."""
    kernel = unpack_uki(image, folder)
    signature = b64encode(sign_root_hash(folder, of_root_hash, tools=tools)).decode()
    words = (folder / "cmdline").read_text()
    exchanged = re.sub(r"(?<=root-hash-signature=base64:)\S+", lambda _: signature, words)
    (folder / "cmdline").write_text(exchanged)
    shutil.copyfile(of_uki.certificate, folder / "db.crt")
    return pack_uki(folder, of_uki, kernel=kernel, tools=tools, moment=MOMENT).read_bytes()


def test_a_flipped_byte_of_usr_is_never_served(altered: AlteredImage, lab: Lab) -> None:
    altered.flip("usr-a", (CHECKOUT / "os/usr/share/bedplate/containerd.toml").read_bytes())
    vm = lab.boot(altered.folder, announced=["verity corruption", "kernel panic"])
    vm.wait_for(re.compile(r"device-mapper: verity: .* data block \d+ is corrupted"), seconds=SECONDS)
    vm.wait_for("Kernel panic - not syncing: dm-verity device corrupted", seconds=30)
    vm.expect_never_shown("Started containerd.service")


def test_a_flipped_byte_of_the_uki_does_not_boot(altered: AlteredImage, image: Image, lab: Lab) -> None:
    uki = bytearray((image.folder / "uki.efi").read_bytes())
    uki[len(uki) // 2] ^= 1
    altered.replace_uki(bytes(uki))
    expect_refused(lab, altered)


def test_an_unsigned_uki_does_not_boot(altered: AlteredImage, image: Image, tools: Tools, lab: Lab) -> None:
    unsigned = altered.folder / "unsigned.efi"
    shutil.copyfile(image.folder / "uki.efi", unsigned)
    tools.run(altered.folder, ["sbattach", "--remove", "/mnt/unsigned.efi"])
    altered.replace_uki(unsigned.read_bytes())
    expect_refused(lab, altered)


def test_a_uki_that_another_key_signed_does_not_boot(
    altered: AlteredImage, image: Image, other_pair: SigningPair, our_pair: SigningPair, tools: Tools, lab: Lab
) -> None:
    folder = altered.folder / "uki"
    altered.replace_uki(uki_with_signatures(image, folder, of_root_hash=our_pair, of_uki=other_pair, tools=tools))
    expect_refused(lab, altered)


def test_a_root_hash_that_another_key_signed_does_not_boot(
    altered: AlteredImage, image: Image, other_pair: SigningPair, our_pair: SigningPair, tools: Tools, lab: Lab
) -> None:
    folder = altered.folder / "uki"
    altered.replace_uki(uki_with_signatures(image, folder, of_root_hash=other_pair, of_uki=our_pair, tools=tools))
    vm = lab.boot(altered.folder, announced=["verity refusal", "failed unit", "failed dependency", "emergency"])
    vm.wait_for(re.compile(r"verity: Root hash verification failed"), seconds=SECONDS)
    vm.wait_for("Failed to start systemd-veritysetup@usr.service", seconds=60)
    vm.expect_never_shown("Welcome to Bedplate")


def test_the_same_change_with_our_own_keys_boots(
    altered: AlteredImage, image: Image, our_pair: SigningPair, tools: Tools, lab: Lab
) -> None:
    """What the tests above refuse is the other key, not the way in which they make a UKI."""
    folder = altered.folder / "uki"
    altered.replace_uki(uki_with_signatures(image, folder, of_root_hash=our_pair, of_uki=our_pair, tools=tools))
    lab.boot(altered.folder).wait_for("Welcome to Bedplate", seconds=SECONDS)


def expect_refused(lab: Lab, altered: AlteredImage) -> None:
    """The firmware starts our loader, which it does not let start the UKI; nothing else is there to start."""
    vm = lab.boot(altered.folder, announced=["firmware refusal"])
    vm.wait_for(re.compile(r"Error loading \\EFI\\Linux\\.*: Access denied"), seconds=SECONDS)
    vm.expect_never_shown(KERNEL_STARTED)
