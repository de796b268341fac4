"""A machine without a system on its disk: what the firmware does with our variables."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bedplate.host.clock import SystemClock
from bedplate.local.machines.provider import LocalProvider
from bedplate.model.machines import MachineOrder, MachineState, Power

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86 is not installed"),
]

REFUSED = b"EFI Internal Shell"
"""The last thing that the firmware tries on an empty disk. It is not signed by us."""


@pytest.fixture
def machine(provider: LocalProvider, tmp_path: Path) -> str:
    image = tmp_path / "image"
    image.mkdir()
    with (image / "disk.raw").open("wb") as disk:
        disk.truncate(64 * 1024**2)
    (image / "db.crt").write_bytes(_certificate())
    credentials = {"system.hostname": b"empty"}
    order = MachineOrder(number=1, name="empty", pool="none", image=image, credentials=credentials, memory_mb=512)
    return provider.create(order).name


def _certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "boot")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    valid = builder.not_valid_before(start).not_valid_after(start + timedelta(days=3650))
    return valid.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def wait_for(console: Path, text: bytes, *, since: int = 0) -> None:
    clock = SystemClock()
    end = clock.monotonic() + 120
    while text not in console.read_bytes()[since:]:
        assert clock.monotonic() < end, console.read_bytes()[-2000:].decode(errors="replace")
        clock.sleep(0.1)


def test_what_we_did_not_sign_does_not_start(provider: LocalProvider, machine: str) -> None:
    console = provider.console(machine)
    wait_for(console, b"Security Violation")
    assert REFUSED in console.read_bytes()


def test_a_saved_machine_goes_on_where_it_was(provider: LocalProvider, machine: str) -> None:
    console = provider.console(machine)
    wait_for(console, b"Security Violation")
    provider.save(machine, "refused")
    provider.power(machine, Power.OFF)
    before = console.stat().st_size
    assert provider.resume(machine, "refused").state is MachineState.RUNNING
    with provider.monitor(machine) as monitor:
        assert monitor.status() == "running"
    assert console.stat().st_size == before


def test_the_reset_button_starts_the_firmware_again(provider: LocalProvider, machine: str) -> None:
    console = provider.console(machine)
    wait_for(console, b"Security Violation")
    before = console.stat().st_size
    provider.power(machine, Power.RESET)
    wait_for(console, b"Security Violation", since=before)
