"""Nothing is signed with a pair of which not every firmware would believe the signature."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from bedplate.host.run import Completed
from bedplate.image.keys import development_pair, own_pair
from bedplate.image.tools import Tools
from bedplate.model.errors import MachineError, UserError
from bedplate.testing.clock import START
from bedplate.testing.runner import FakeRunner, completed

PLAIN = NoEncryption()


def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def write_key(folder: Path, key: rsa.RSAPrivateKey, encryption: KeySerializationEncryption = PLAIN) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "db.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


def write_certificate(folder: Path, key: rsa.RSAPrivateKey) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, START, START + timedelta(days=1))
    (folder / "db.crt").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    key = private_key()
    write_key(tmp_path, key)
    write_certificate(tmp_path, key)
    return tmp_path


def test_a_key_with_its_certificate_is_a_pair(pair: Path) -> None:
    assert own_pair(pair).folder == pair


@pytest.mark.parametrize("name", ["db.key", "db.crt"])
def test_a_missing_half_is_named(pair: Path, name: str) -> None:
    (pair / name).unlink()
    with pytest.raises(UserError, match=f"lacks {name}"):
        own_pair(pair)


@pytest.mark.parametrize("name", ["db.key", "db.crt"])
def test_a_half_that_is_cut_short_is_refused(pair: Path, name: str) -> None:
    (pair / name).write_bytes((pair / name).read_bytes()[:100])
    with pytest.raises(UserError, match="does not hold a key and a certificate that can be read"):
        own_pair(pair)


def test_a_certificate_of_another_key_is_refused(pair: Path) -> None:
    write_certificate(pair, private_key())
    with pytest.raises(UserError, match=r"db.crt in .* is not the certificate of db.key"):
        own_pair(pair)


def test_a_key_with_a_passphrase_is_refused(pair: Path) -> None:
    write_key(pair, private_key(), BestAvailableEncryption(b"secret"))
    with pytest.raises(UserError) as caught:
        own_pair(pair)
    assert "must not have a passphrase" in caught.value.resolution


def test_a_development_pair_that_did_not_fit_on_the_disk_is_not_kept(tmp_path: Path) -> None:
    def play(argv: tuple[str, ...]) -> Completed:
        folder = Path(argv[argv.index("openssl") - 1])
        for name in ("db.key", "db.crt"):
            (folder / name).touch()
        return completed(argv)

    folder = tmp_path / "keys/development"
    with pytest.raises(MachineError, match="no pair of keys that can be read"):
        development_pair(folder, Tools(tmp_path / "tools", FakeRunner(play)))
    assert list(folder.parent.iterdir()) == []
