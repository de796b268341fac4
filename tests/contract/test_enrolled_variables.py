"""Our certificate in a variable store of the installed OVMF, read back by virt-firmware."""

import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bedplate.host.run import SystemRunner
from bedplate.local.machines.firmware import FOLDER, VARIABLES, enrolled_variables, find_firmware
from bedplate.model.errors import MachineError

needs_tools = pytest.mark.skipif(
    shutil.which("qemu-img") is None or not (FOLDER / VARIABLES).exists(),
    reason="needs the packages qemu-utils and ovmf",
)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "boot")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "db.crt"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path


@needs_tools
def test_secure_boot_is_on_and_trusts_this_certificate_alone(tmp_path: Path, certificate: Path) -> None:
    runner = SystemRunner()
    store = enrolled_variables(find_firmware(), certificate, cache=tmp_path / "cache", runner=runner)
    raw = tmp_path / "vars.fd"
    runner.run(["qemu-img", "convert", "-O", "raw", store, raw])
    shown = runner.run([sys.executable, "-m", "virt.firmware.vars", "-i", raw, "-p"]).text
    assert "SecureBootEnable    : bool: ON" in shown
    assert raw.stat().st_size == (FOLDER / VARIABLES).stat().st_size
    der = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(serialization.Encoding.DER)
    assert raw.read_bytes().count(der) == 3


@needs_tools
def test_it_is_made_once(tmp_path: Path, certificate: Path) -> None:
    first = enrolled_variables(find_firmware(), certificate, cache=tmp_path / "cache", runner=SystemRunner())
    written = first.stat().st_mtime_ns
    again = enrolled_variables(find_firmware(), certificate, cache=tmp_path / "cache", runner=SystemRunner())
    assert (again, again.stat().st_mtime_ns) == (first, written)


def test_missing_firmware_names_its_package(tmp_path: Path) -> None:
    with pytest.raises(MachineError) as caught:
        find_firmware(tmp_path)
    assert "ovmf" in caught.value.resolution
